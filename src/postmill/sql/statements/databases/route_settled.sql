-- Forgets that messages $3 of queue $2 came from database $1: they can't come again.
-- Called by route move, after the other database has forgotten them. Locks: rows of arrivals. Errors: none.
delete from postmill.arrivals
where source = $1::text and queue_name = $2::text and msg_id = any ($3::bigint[])
