-- Make every message of a queue due that waits for a moment to come: delayed, retrying and snoozed ones. Not those
-- that run. One that waits for its group or for other messages goes on waiting for them, but for no moment any more.
-- A wait or a sleep of a workflow began as much earlier, since its end is told by when it began; a step is tried again
-- as much earlier.
-- Called by postmill.testing. $1 the queue. Returns how many. Locks: the queue's rows, steps, blocked, gates. Errors:
-- none.
with late as materialized (
    select queued.msg_id, queued.vt, case when queued.message ? 'wake' then queued.message end as wake
      from {queue} as queued
     where queued.vt > clock_timestamp()
       and not exists (select from postmill._claimed($1::text) as held
                        where held.msg_id = queued.msg_id and held.read_ct = queued.read_ct)
       and not exists (select from postmill.gates as gate
                        where gate.queue_name = $1::text and gate.msg_id = queued.msg_id)
       and not exists (select from postmill.blocked as blocked
                        where blocked.queue_name = $1::text and blocked.msg_id = queued.msg_id)
),
due as (
    update {queue} as queued
       set vt = clock_timestamp()
      from late
     where queued.msg_id = late.msg_id and queued.vt = late.vt
    returning queued.msg_id, late.wake, late.vt - clock_timestamp() as skipped
),
waited as (
    update postmill.steps as step
       set started_at = step.started_at - due.skipped, due_at = step.due_at - due.skipped
      from due
     where step.state = 'waiting'
       and step.run_id = case when jsonb_typeof(due.wake -> 'run') = 'number' then (due.wake ->> 'run')::bigint end
),
freed as (
    update postmill.blocked set due_at = clock_timestamp()
     where queue_name = $1::text and due_at > clock_timestamp()
    returning msg_id
),
started as (
    update postmill.gates set rank = clock_timestamp()
     where queue_name = $1::text and claim_id is null and rank > clock_timestamp()
    returning msg_id
)
select count(*) as due, pg_notify(('postmill.' || $1::text)::name::text, '')
  from (select from due union all select from freed union all select from started) as made
