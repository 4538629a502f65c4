-- Makes message $2 of queue $1 ready: ready, replayed, running or not found.
-- Called by the command line. Locks and errors as postmill.retry.
select postmill.retry($1::text, $2::bigint) as outcome
