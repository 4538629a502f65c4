-- Takes calls that are due, the longest due first: they count as started when this has committed. $1: milliseconds
-- after its time limit until a call counts as lost. $2: at most so many. $3 and $4: how many calls run here to each
-- host, $5: how many may. $6: whether calls of functions are taken too. One that waits for another is taken when that
-- has ended. Not for a process that has a host without a place: it would read that one's backlog.
-- Called by: calls. Locks: the calls' rows, skipping locked ones.
with first as materialized (
    select call_id, host, due_at from postmill.calls as c
     where started_at is null and due_at <= statement_timestamp()
       and ($6::boolean or function_name is null)
--+ not_held_back
     order by due_at, call_id limit $2::integer for update skip locked
), counted as (
    select first.call_id,
           row_number() over (partition by first.host order by first.due_at, first.call_id)
               + coalesce(busy.running, 0) as place
      from first left join unnest($3::text[], $4::integer[]) as busy (host, running) using (host)
), placed as (
    select call_id from counted where place <= $5::integer
)
--+ started_calls
