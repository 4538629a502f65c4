-- Takes calls that are due, the longest due first: they count as started when this has committed. $1: at most so many.
-- $2: hosts that have no place here, $3 and $4: how many calls run here to each host, $5: how many may. $6: so many
-- milliseconds after its time limit a call without an answer is lost. $7: whether calls of functions are taken too. One
-- that waits for another is taken when that has ended.
-- Called by: calls. Locks: the calls' rows, skipping locked ones.
with first as materialized (
    select call_id, host, due_at from postmill.calls as c
     where started_at is null and due_at <= clock_timestamp() and host <> all ($2::text[])
       and ($7::boolean or function_name is null)
--+ not_held_back
     order by due_at, call_id limit $1::integer for update skip locked
), placed as (
    select first.call_id,
           row_number() over (partition by first.host order by first.due_at, first.call_id)
               + coalesce(busy.running, 0) as place
      from first left join unnest($3::text[], $4::integer[]) as busy (host, running) using (host)
)
update postmill.calls as taken
   set started_at = clock_timestamp(), attempts = taken.attempts + 1,
       lost_at = clock_timestamp() + (taken.timeout_ms + $6::integer) * interval '1 millisecond'
  from placed
 where taken.call_id = placed.call_id and placed.place <= $5::integer
returning taken.call_id, taken.method, taken.function_name, taken.url, taken.headers::text as headers, taken.body,
          taken.timeout_ms, taken.max_attempts, taken.attempts, taken.idempotency_key, taken.host, taken.secrets
