-- Tasks of steps are dead, each with a reason; their messages were deleted by token in the same statement. The step's
-- `on_dead` says what follows: the run fails; the step is skipped, alone or with what needs it; or, of a map, the item
-- is noted as failed and the others go on: a map of which such an item was the last one is completed, and is undone if
-- its run had failed before. A task is a step, or with `items` an item of a map. Only a step that has started and has
-- not ended is changed. Returns how many steps have ended.
-- Called by the statement step_fail. Lock order: queue rows (by the caller), maps by (run_id, step), runs by run_id,
-- then anything of these runs; queues. Errors: PM005 the transaction's isolation.
create or replace function postmill._fail_steps(run_ids bigint[], steps text[], items integer[], reasons text[])
returns integer
language plpgsql volatile
security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    map_runs    bigint[] := '{}';
    map_steps   text[] := '{}';
    map         record;
    ended       record;
    tasks       postmill.flow_tasks;
begin
    perform postmill._check_isolation();
    perform postmill._tell_watchers(run_ids);
    if postmill._lock_maps(run_ids, steps, items) then
        select * into map from postmill._collect_failed(run_ids, steps, items, reasons);
        map_runs := coalesce(map.ended_runs, '{}');
        map_steps := coalesce(map.ended_steps, '{}');
        tasks := map.tasks;
    end if;
    perform from postmill.runs as run where run.run_id = any (run_ids) order by run.run_id for no key update;
    with dead as (
        select distinct on (t.run_id, t.step) t.run_id, t.step, t.reason, step.on_dead
          from unnest(run_ids, steps, items, reasons) as t (run_id, step, item, reason)
--+ its_run
--+ its_step
--+ its_row
         where case when step.kind <> 'map' then t.item is null
                    else step.on_dead <> 'collect' and t.item >= 0 and t.item < coalesce(s.next_item, s.tasks)
                         and not exists (select from postmill.items as i
                                          where i.run_id = t.run_id and i.step = t.step and i.item = t.item and i.ended)
                    end
         order by t.run_id, t.step, t.item
    ),
    written as (
        update postmill.steps as s
           set state = case when dead.on_dead in ('skip', 'skip_cascade') then 'skipped' else 'failed' end,
               reason = case when dead.on_dead in ('skip', 'skip_cascade') then 'handler_failed: ' else '' end
                        || dead.reason,
               ended_at = clock_timestamp(), changed = pg_current_xact_id()
          from dead
         where s.run_id = any (run_ids) and s.run_id = dead.run_id and s.step = dead.step and s.state = 'started'
        returning s.run_id, s.step, s.state, dead.on_dead = 'skip_cascade' as cut, dead.reason
    ),
    collected as (
        update postmill.steps as s
           set state = 'completed', ended_at = clock_timestamp(), changed = pg_current_xact_id()
          from unnest(map_runs, map_steps) as t (run_id, step)
         where s.run_id = any (run_ids) and s.run_id = t.run_id and s.step = t.step and s.state = 'started'
        returning s.run_id, s.step, s.state, false as cut, null as reason
    )
    select array_agg(each.run_id) as runs, array_agg(each.step) as steps, array_agg(each.cut) as cuts,
           array_agg(each.run_id) filter (where each.state = 'failed') as failed_runs,
           array_agg(each.step) filter (where each.state = 'failed') as culprits,
           array_agg(each.reason) filter (where each.state = 'failed') as reasons,
           array_agg(each.run_id) filter (where each.state = 'completed') as done_runs,
           array_agg(each.step) filter (where each.state = 'completed') as done_steps
      into ended
      from (select * from written union all select * from collected) as each;
    if ended.done_runs is not null then
        perform postmill._undo_late(ended.done_runs, ended.done_steps);
    end if;
    if ended.failed_runs is not null then
        perform postmill._fail_runs(ended.failed_runs, ended.culprits, ended.reasons);
    end if;
    if ended.runs is not null then
        tasks := postmill._more_tasks(tasks, postmill._advance(ended.runs, ended.steps, ended.cuts));
    end if;
    perform postmill._send_steps(tasks);
    return coalesce(cardinality(ended.runs), 0);
end
$$;
