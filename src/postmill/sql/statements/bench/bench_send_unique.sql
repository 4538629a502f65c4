-- The same with a unique key each, $3.
-- Called by bench unique. Locks and errors as postmill.send_batch.
select count(*) from postmill.send_batch($1::text, $2::text[]::jsonb[], unique_keys => $3::text[])
