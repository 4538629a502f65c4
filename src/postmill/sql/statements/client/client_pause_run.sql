-- Pauses run $1 for reason $2. Called by: the clients. Locks and errors as postmill.pause_run.
select postmill.pause_run($1::bigint, $2::text)
