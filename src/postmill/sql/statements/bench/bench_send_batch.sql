-- Sends the payloads $2 (JSON text) to queue $1 in one batch.
-- Called by bench unique. Locks and errors as postmill.send_batch.
select count(*) from postmill.send_batch($1::text, $2::text[]::jsonb[])
