-- Deletes the messages of queue $1 that are not running and returns how many.
-- Called by the command line. Locks and errors as postmill.purge_queue.
select postmill.purge_queue($1::text) as purged
