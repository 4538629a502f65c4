-- The call queues $1 as they are now, each with those of its secrets that its role may use now. Called by: calls, when
-- messages of call queues are sent. Takes no locks.
select queue_name, function_name, url, headers::text as headers, max_attempts, timeout_ms, secrets, created_by,
       postmill._granted(secrets, created_by) as granted
  from postmill.call_queues
 where queue_name = any ($1::text[])
