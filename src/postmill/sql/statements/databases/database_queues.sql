-- The queues of a database that one of the workers that ask could work on: $1 are their names.
-- Called before workers start on several databases. Locks: none. Errors: none.
select listed.queue_name from pgmq.meta as listed where listed.queue_name = any ($1::text[])
