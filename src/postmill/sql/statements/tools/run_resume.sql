-- Lets the paused run $1 go on. Called by the command line. Locks and errors as postmill.resume_run.
select postmill.resume_run($1::bigint) as done
