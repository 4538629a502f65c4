-- Tasks of steps have succeeded, each with its output as JSON text; their messages were deleted by token in the same
-- statement. Ends the steps, begins what needs them, ends their runs. A task is a step, or with `items` an item of a
-- map. Only a step that has started and has not ended is changed: messages can be forged and doubled. A step that
-- ends when its run has ended keeps its output, and nothing follows but that it is undone if the run has failed.
-- Returns how many steps have ended. Called by the statement step_settle. Lock order: queue rows (by the caller),
-- maps by (run_id, step), runs by run_id, then anything of these runs; queues. Errors: PM005 the transaction's
-- isolation; an output that is no JSON.
create or replace function postmill._settle_steps(run_ids bigint[], steps text[], items integer[], outputs text[])
returns integer
language plpgsql volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_sort = on
set jit = off
as $$
declare
    map_runs    bigint[] := '{}';
    map_steps   text[] := '{}';
    ended_runs  bigint[];
    ended_steps text[];
begin
    perform postmill._check_isolation();
    perform postmill._tell_watchers(run_ids);
    if postmill._lock_maps(run_ids, steps, items) then
        select coalesce(map.ended_runs, '{}'), coalesce(map.ended_steps, '{}') into map_runs, map_steps
          from postmill._end_items(
              run_ids, steps, items, outputs, array_fill(null::text, array[cardinality(items)])) as map;
        if map_runs = '{}' and array_position(items, null) is null then
            return 0;
        end if;
    end if;
    perform from postmill.runs as run where run.run_id = any (run_ids) order by run.run_id for no key update;
    with single as (
        update postmill.steps as s
           set state = 'completed', output = coalesce(t.output, 'null')::jsonb, ended_at = clock_timestamp(),
               changed = pg_current_xact_id()
          from unnest(run_ids, steps, items, outputs) as t (run_id, step, item, output)
         where s.run_id = any (run_ids) and s.run_id = t.run_id and s.step = t.step and s.state = 'started'
           and s.tasks is null and t.item is null
        returning s.run_id, s.step
    ),
    map as (
        update postmill.steps as s
           set state = 'completed', ended_at = clock_timestamp(), changed = pg_current_xact_id()
          from unnest(map_runs, map_steps) as t (run_id, step)
         where s.run_id = any (run_ids) and s.run_id = t.run_id and s.step = t.step and s.state = 'started'
        returning s.run_id, s.step
    )
    select array_agg(each.run_id), array_agg(each.step)
      into ended_runs, ended_steps
      from (select * from single union all select * from map) as each;
    if ended_runs is null then
        return 0;
    end if;
    perform postmill._undo_late(ended_runs, ended_steps);
    perform postmill._advance(ended_runs, ended_steps, array_fill(false, array[cardinality(ended_runs)]));
    return cardinality(ended_runs);
end
$$;
