-- Asks for $3 calls of $1 with the body $2. Called by bench. Locks and errors as postmill.call.
select count(postmill.call($1::text, $2::jsonb)) from generate_series(1, $3::integer)
