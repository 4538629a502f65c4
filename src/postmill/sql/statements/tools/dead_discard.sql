-- Deletes the dead letters $2 of queue $1.
-- Called by the command line and the API. Locks and errors as postmill.discard.
select postmill.discard($1::text, $2::bigint[]) as discarded
