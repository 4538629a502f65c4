-- Pauses the run $1, saying $2. Called by the command line. Locks and errors as postmill.pause_run.
select postmill.pause_run($1::bigint, $2::text) as done
