-- Creates the queue $1 and returns whether it was missing.
-- Called by the command line, and by workers at start. Locks and errors as postmill.create_queue.
with before as materialized (select exists (select from pgmq.meta where queue_name = $1::text) as existed)
select not existed as created, postmill.create_queue($1::text) from before
