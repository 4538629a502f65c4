-- What is still in a queue. Called by postmill.testing. $1 the queue. Takes no locks. Errors: PM001 no such queue.
select total, ready + running as active from postmill.queue_stats($1::text, exactly => true)
