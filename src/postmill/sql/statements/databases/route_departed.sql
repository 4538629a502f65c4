-- Forgets messages $2 of queue $1, which have arrived.
-- Called by route move, in the transaction that has locked them. Locks: rows of departures. Errors: none.
delete from postmill.departures where queue_name = $1::text and msg_id = any ($2::bigint[])
