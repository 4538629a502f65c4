-- The queues whose messages are calls; with $1 those of functions too. A role that may not be a worker's has none:
-- they are left to other processes. Called by: calls. Takes no locks.
select queue_name, function_name, url, headers::text as headers, max_attempts, timeout_ms, secrets, created_by
  from postmill.call_queues as known
 where exists (select from pgmq.meta as made where made.queue_name = known.queue_name)
   and ($1::boolean or function_name is null)
   and has_table_privilege('postmill.workers', 'insert')
 order by queue_name
