-- Returns a task for each item of these maps, which have begun; each carries its item's value, so that the list is not
-- read again. Of a map with a window only so many are returned; the others wait in items, with their values, and are
-- sent as items end.
-- Called by _begin_steps, with the runs' rows locked. Lock order: steps and items of these runs. Errors: none.
create or replace function postmill._fan_out(run_ids bigint[], steps text[], lists jsonb[], at timestamptz)
returns postmill.flow_tasks
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    tasks postmill.flow_tasks;
begin
    with map as materialized (
        select t.run_id, run.flow, t.step, t.place, t.list, step.chosen -> 'group' as group_rule,
               case when step.chosen ? 'group'
                    then postmill._group_of_task(step.chosen -> 'group', t.run_id, run.input, null) end as group_key,
               coalesce(step.chosen ->> 'queue', version.queue_name) as queue,
               coalesce((step.chosen ->> 'priority')::integer, run.priority) as priority,
               at + coalesce((step.chosen ->> 'delay_s')::float8, 0) * interval '1 second' as due_at,
               least((step.chosen ->> 'window')::integer, jsonb_array_length(t.list)) as sent
          from unnest(run_ids, steps, lists) with ordinality as t (run_id, step, list, place)
--+ its_run
--+ its_version
--+ its_step
    ),
    windows as (
        update postmill.steps as s
           set next_item = map.sent
          from (select s.at, t.sent from map as t
--+ its_row
                 where t.sent is not null) as map
         where s.ctid = map.at
    ),
    waiting as (
        insert into postmill.items (run_id, step, item, value, ended)
        select map.run_id, map.step, each.place - 1, each.value, false
          from map cross join lateral jsonb_array_elements(map.list) with ordinality as each (value, place)
         where each.place > map.sent
    ),
    task as (
        select map.run_id, map.step, map.queue, map.due_at, map.priority,
               case when map.group_rule ? 'item'
                    then postmill._group_of_task(map.group_rule, map.run_id, null, each.value)
                    else map.group_key end as group_key,
               jsonb_build_object('run', map.run_id, 'flow', map.flow, 'step', map.step, 'item', each.place - 1,
                                  'value', each.value) as message
          from map cross join lateral jsonb_array_elements(map.list) with ordinality as each (value, place)
         where map.sent is null or each.place <= map.sent
         order by map.place, each.place
    )
    select array_agg(run_id), array_agg(step), array_agg(queue), array_agg(due_at), array_agg(message),
           array_agg(priority), case when count(group_key) > 0 then array_agg(group_key) end
      into tasks
      from task;
    return tasks;
end
$$;
