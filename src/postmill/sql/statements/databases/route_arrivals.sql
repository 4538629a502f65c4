-- Messages of queue $2 that have come from database $1 and may still be listed there as leaving.
-- Called by route move. Locks: none. Errors: none.
select msg_id from postmill.arrivals where source = $1::text and queue_name = $2::text
