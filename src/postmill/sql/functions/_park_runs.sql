-- Lays runs of workflows aside until one of their waits has an outcome; their messages are gone by their tokens.
-- `waits`: of each run an array of {"step", "signal", "timeout_s"}; one with neither waits for a child, or for the next
-- attempt at its step, whose row says when that is due. A wait that is new begins now. A run for which something has
-- come already goes on at once. A signal is sent, and a child's end noted, under the lock of the run: so either this
-- sees it, or the sender sees that the run waits. A paused run stays as it is, and begins again from its records when
-- it is resumed. One that undoes what it has done stays `undoing`. Called by the statement run_park. Lock order: runs
-- by run_id, then their steps, then queues. Errors: PM005 (see
-- _check_isolation).
create or replace function postmill._park_runs(run_ids bigint[], wakes integer[], waits jsonb[]) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
#variable_conflict use_column
declare
    woken bigint[];
    at    timestamptz[];
begin
    perform postmill._check_isolation();
    perform postmill._tell_watchers(run_ids);
    perform from postmill.runs as r where r.run_id = any (run_ids) order by r.run_id for no key update;
    insert into postmill.steps (run_id, step, state, started_at)
    select r.run_id, w.step, 'waiting', clock_timestamp()
      from unnest(run_ids, wakes, waits) as t (run_id, wake, waits)
      join postmill.runs as r on r.run_id = t.run_id and r.wake = t.wake and r.state in ('running', 'undoing')
     cross join jsonb_to_recordset(t.waits) as w (step text)
     order by r.run_id, w.step
    on conflict (run_id, step) do nothing;
    with wait as (
        select t.run_id, t.wake, w.signal,
               coalesce(s.started_at + w.timeout_s * interval '1 second', s.due_at) as due_at,
               s.state <> 'waiting' or coalesce((
                   select true from postmill.signals as g  -- not exists: it may be answered by reading all signals
                    where g.run_id = t.run_id and g.name = w.signal and (g.taken_by is null or not g.many)
                      and g.refused is null
                    limit 1), false) as has_come
          from unnest(run_ids, wakes, waits) as t (run_id, wake, waits)
         cross join jsonb_to_recordset(t.waits) as w (step text, signal text, timeout_s float8)
          join postmill.steps as s on s.run_id = t.run_id and s.step = w.step
    ), together as (
        select run_id, wake, bool_or(has_come) as has_come, min(due_at) as due_at,
               array_agg(signal) filter (where signal is not null) as signals
          from wait group by run_id, wake
    ), parked as (
        update postmill.runs as r
           set wake = r.wake + 1, changed = pg_current_xact_id(),
               state = case when t.has_come or r.state = 'undoing' then r.state else 'waiting' end,
               waits_for = case when not t.has_come then t.signals end,
               due_at = case when not t.has_come then t.due_at end
          from together as t
         where r.run_id = t.run_id and r.wake = t.wake and r.state in ('running', 'undoing')
        returning r.run_id, case when t.has_come then clock_timestamp() else t.due_at end as due_at
    )
    select array_agg(run_id), array_agg(due_at) into woken, at from parked where due_at is not null;
    perform postmill._send_wakes(woken, at);
end
$$;
