-- Sends run $1 the signal $2 with value $3 (JSON text); $4: it is one of many. Called by: the clients. Returns whether
-- it was taken. Locks and errors as postmill.signal_run.
select postmill.signal_run($1::bigint, $2::text, $3::text::jsonb, $4::boolean)
