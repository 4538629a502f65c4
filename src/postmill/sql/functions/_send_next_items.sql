-- Sends the next items of maps with a window: so many as have ended.
-- Called by _end_items, with the steps' rows locked. Lock order: steps (held), then as _send_steps. Errors: those of
-- _send_steps.
create or replace function postmill._send_next_items(run_ids bigint[], steps text[], many integer[]) returns void
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
    next record;
begin
    select array_agg(i.run_id) as runs, array_agg(i.step) as steps,
           array_agg(coalesce(step.chosen ->> 'queue', version.queue_name)) as queues,
           array_agg(clock_timestamp()) as due_at,
           array_agg(jsonb_build_object('run', i.run_id, 'step', i.step, 'item', i.item, 'value', i.value)) as messages,
           array_agg(coalesce((step.chosen ->> 'priority')::integer, run.priority)) as priorities
      into next
      from unnest(run_ids, steps, many) as t (run_id, step, many)
--+ its_row
--+ its_run
--+ its_version
--+ its_step
     cross join lateral (
           select * from postmill.items as waiting
            where waiting.run_id = t.run_id and waiting.step = t.step
              and waiting.item >= s.next_item and waiting.item < s.next_item + t.many offset 0) as i;
    update postmill.steps as s
       set next_item = least(s.next_item + t.many, s.tasks)
      from unnest(run_ids, steps, many) as t (run_id, step, many)
     where s.run_id = any (run_ids) and s.run_id = t.run_id and s.step = t.step;
    perform postmill._send_steps(
        next.runs, next.steps, next.queues, next.due_at, next.messages, next.priorities);
end
$$;
