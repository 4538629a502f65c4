-- Cancels run $1 for reason $2. Called by: the clients. Returns whether it had not ended. Locks and errors as
-- postmill.cancel_run.
select postmill.cancel_run($1::bigint, $2::text)
