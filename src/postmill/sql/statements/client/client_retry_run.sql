-- Lets failed run $1 go on. Called by: the clients. Locks and errors as postmill.retry_run.
select postmill.retry_run($1::bigint)
