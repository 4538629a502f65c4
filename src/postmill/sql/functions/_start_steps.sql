-- Sends the task of each of these steps, which have begun and are no maps. A sleep's is due when it is over. A wait has
-- one only if it ends by itself: its time-out.
-- Called by _begin_steps, with the runs' rows locked. Locks and errors: as _send_steps.
create or replace function postmill._start_steps(run_ids bigint[], steps text[], at timestamptz) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_sort = on
set jit = off
as $$
declare
    due record;
begin
    select array_agg(t.run_id) as runs, array_agg(t.step) as steps,
           array_agg(coalesce(step.chosen ->> 'queue', version.queue_name)) as queues,
           array_agg(at + interval '1 second' * coalesce((step.chosen ->> case
               when step.kind = 'wait' then 'timeout_s' else 'delay_s' end)::float8, 0)) as due_at,
           array_agg(jsonb_build_object('run', t.run_id, 'step', t.step)) as messages,
           array_agg(coalesce((step.chosen ->> 'priority')::integer, run.priority)) as priorities
      into due
      from unnest(run_ids, steps) as t (run_id, step)
--+ its_run
--+ its_version
--+ its_step
     where step.kind <> 'wait' or step.chosen ? 'timeout_s';
    if due.runs is not null then
        perform postmill._send_steps(due.runs, due.steps, due.queues, due.due_at, due.messages, due.priorities);
    end if;
end
$$;
