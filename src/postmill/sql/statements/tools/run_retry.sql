-- Lets the run $1 go on, which has failed or was cancelled. Called by the command line. Locks and errors as
-- postmill.retry_run.
select postmill.retry_run($1::bigint) as done
