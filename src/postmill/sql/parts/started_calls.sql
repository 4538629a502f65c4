-- Writes down that the calls of the CTE `placed` have started, and returns what is to be sent. `secrets`: those that
-- its role may use now. A call counts as lost $1 milliseconds after its time limit.
-- Part of the statements calls_claim and calls_claim_at_hosts. Locks: the calls' rows, which these have locked.
update postmill.calls as taken
   set started_at = clock_timestamp(), attempts = taken.attempts + 1,
       lost_at = clock_timestamp() + (taken.timeout_ms + $1::integer) * interval '1 millisecond'
  from placed
 where taken.call_id = placed.call_id
returning taken.call_id, taken.method, taken.function_name, taken.url, taken.headers::text as headers, taken.body,
          taken.timeout_ms, taken.max_attempts, taken.attempts, taken.idempotency_key, taken.host, taken.created_by,
          case when taken.secrets <> '{}' then postmill._granted(taken.secrets, taken.created_by)
               else '{}' end as secrets
