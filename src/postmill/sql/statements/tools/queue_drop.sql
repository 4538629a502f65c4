-- Drops the queue $1, with $2 also when dead letters are lost.
-- Called by the command line. Locks and errors as postmill.drop_queue.
select postmill.drop_queue($1::text, force => $2::boolean)
