-- The tasks of the next items of maps with a window: so many from the first one on that was not sent.
-- Called by _end_items, with the steps' rows locked. Lock order: steps (held). Errors: none.
create or replace function postmill._next_items(run_ids bigint[], steps text[], firsts integer[], many integer[])
returns postmill.flow_tasks
language plpgsql stable
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    tasks postmill.flow_tasks;
begin
    select array_agg(i.run_id), array_agg(i.step),
           array_agg(coalesce(step.chosen ->> 'queue', version.queue_name)), array_agg(clock_timestamp()),
           array_agg(jsonb_build_object('run', i.run_id, 'flow', run.flow, 'step', i.step, 'item', i.item,
                                        'value', i.value)),
           array_agg(coalesce((step.chosen ->> 'priority')::integer, run.priority)),
           case when count(g.key) > 0 then array_agg(g.key) end
      into tasks
      from unnest(run_ids, steps, firsts, many) as t (run_id, step, first, many)
--+ its_run
--+ its_version
--+ its_step
     cross join lateral (
           select * from postmill.items as waiting
            where waiting.run_id = t.run_id and waiting.step = t.step
              and waiting.item >= t.first and waiting.item < t.first + t.many offset 0) as i
     cross join lateral (
           select case when step.chosen ? 'group' then postmill._group_of_task(
                           step.chosen -> 'group', t.run_id, run.input, i.value) end as key offset 0) as g;
    return tasks;
end
$$;
