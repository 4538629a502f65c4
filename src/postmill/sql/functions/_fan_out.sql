-- Sends a task for each item of these maps, which have begun; each carries its item's value, so that the list is not
-- read again. Of a map with a window only so many are sent; the others wait in items, with their values, and are sent
-- as items end.
-- Called by _begin_steps, with the runs' rows locked. Lock order: steps and items of these runs, then as _send_steps.
-- Errors: those of _send_steps.
create or replace function postmill._fan_out(run_ids bigint[], steps text[], lists jsonb[], at timestamptz)
returns void
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
    map record;
    first jsonb[];
begin
    for map in
        select t.run_id, t.step, t.list, coalesce(step.chosen ->> 'queue', version.queue_name) as queue,
               coalesce((step.chosen ->> 'priority')::integer, run.priority) as priority,
               at + coalesce((step.chosen ->> 'delay_s')::float8, 0) * interval '1 second' as due_at,
               least((step.chosen ->> 'window')::integer, jsonb_array_length(t.list)) as sent
          from unnest(run_ids, steps, lists) as t (run_id, step, list)
--+ its_run
--+ its_version
--+ its_step
    loop
        select array_agg(jsonb_build_object('run', map.run_id, 'step', map.step, 'item', each.place - 1,
                                            'value', each.value) order by each.place)
          into first
          from jsonb_array_elements(map.list) with ordinality as each (value, place)
         where map.sent is null or each.place <= map.sent;
        if map.sent is not null then
            update postmill.steps as s set next_item = map.sent where s.run_id = map.run_id and s.step = map.step;
            insert into postmill.items (run_id, step, item, value, ended)
            select map.run_id, map.step, each.place - 1, each.value, false
              from jsonb_array_elements(map.list) with ordinality as each (value, place)
             where each.place > map.sent;
        end if;
        perform postmill._send_steps(
            array[map.run_id], array[map.step], array_fill(map.queue, array[cardinality(first)]),
            array_fill(map.due_at, array[cardinality(first)]), first,
            array_fill(map.priority, array[cardinality(first)]));
    end loop;
end
$$;
