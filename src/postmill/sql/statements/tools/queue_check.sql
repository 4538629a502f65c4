-- Refuses a queue that is not there. Called by db tools, before a send by hand. $1 queue. Takes no locks.
-- Errors: PM001 no such queue.
select postmill._queue_table($1::text)::text as relation
