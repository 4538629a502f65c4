-- Drops the throw-away queue, also with dead letters. $1 the queue. Called by postmill.bench. Locks: as
-- postmill.drop_queue.
select postmill.drop_queue(name => $1::text, force => true)
