-- Cancels message $2 of queue $1: cancelled, requested or not found.
-- Called by the client. Locks and errors as postmill.cancel.
select postmill.cancel($1::text, $2::bigint)
