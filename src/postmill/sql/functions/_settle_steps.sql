-- Tasks of steps have succeeded, each with its output as JSON text; their messages were deleted by token in the same
-- statement. Ends the steps, begins what needs them, ends their runs. A task is a step, or with `items` an item of a
-- map. Only a step that has started and has not ended is changed: messages can be forged and doubled. A step that
-- ends when its run has ended keeps its output, and nothing follows but that it is undone if the run has failed.
-- Returns how many steps have ended, and the tasks that the caller inserts into the queue `own`; all others are sent.
-- Of the first `begin_at_once` of them `given` tells what a worker needs to know, as JSON: see _step_inputs.
-- Called by the statement step_settle. Lock order: queue rows (by the caller), maps by (run_id, step), runs by run_id,
-- then anything of these runs; queues. Errors: PM005 the transaction's isolation; an output that is no JSON; those of
-- _send_steps.
create or replace function postmill._settle_steps(
    run_ids bigint[], steps text[], items integer[], outputs text[], own text default null,
    begin_at_once integer default 0, out ended integer, out tasks postmill.flow_tasks, out given text
)
language plpgsql volatile
security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    map         record;
    map_runs    bigint[] := '{}';
    map_steps   text[] := '{}';
    has_failed  boolean;
    ended_runs  bigint[];
    ended_steps text[];
begin
    perform postmill._check_isolation();
    perform postmill._tell_watchers(run_ids);
    ended := 0;
    if postmill._lock_maps(run_ids, steps, items) then
        select * into map
          from postmill._end_items(
              run_ids, steps, items, outputs, array_fill(null::text, array[cardinality(items)]));
        tasks := map.tasks;
        map_runs := coalesce(map.ended_runs, '{}');
        map_steps := coalesce(map.ended_steps, '{}');
        if map_runs = '{}' and array_position(items, null) is null then
            tasks := postmill._send_steps(tasks, own);
            return;
        end if;
    end if;
    select bool_or(held.state = 'failed') into has_failed
      from (select run.state from postmill.runs as run
             where run.run_id = any (run_ids)
             order by run.run_id for no key update) as held;
    with ending as (
        update postmill.steps as s
           set state = 'completed', ended_at = clock_timestamp(), changed = pg_current_xact_id(),
               output = case when not t.is_map then coalesce(t.output, 'null')::jsonb end
          from (select s.at, t.output, t.is_map
                  from (select each.run_id, each.step, each.output, false as is_map
                          from unnest(run_ids, steps, items, outputs) as each (run_id, step, item, output)
                         where each.item is null
                         union all
                        select each.run_id, each.step, null, true
                          from unnest(map_runs, map_steps) as each (run_id, step)) as t
--+ its_row
                 where s.state = 'started' and (s.tasks is not null) = t.is_map) as t
         where s.ctid = t.at  -- row by row, whatever the planner thinks of the tables; the locks keep them there
        returning s.run_id, s.step
    )
    select array_agg(ending.run_id), array_agg(ending.step) into ended_runs, ended_steps from ending;
    if ended_runs is not null then
        ended := cardinality(ended_runs);
        if has_failed then
            perform postmill._undo_late(ended_runs, ended_steps);
        end if;
        tasks := postmill._more_tasks(
            tasks, postmill._advance(ended_runs, ended_steps, array_fill(false, array[ended])));
    end if;
    tasks := postmill._send_steps(tasks, own);
    if begin_at_once > 0 and tasks.run_ids is not null then
        given := (select json_agg(told) from postmill._step_inputs(
                      tasks.run_ids[:begin_at_once], tasks.steps[:begin_at_once]) as told);
    end if;
end
$$;
