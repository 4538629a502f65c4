-- Of items that are dead, notes those of maps that collect such items, and returns as _end_items does.
-- Called by _fail_steps, with the steps' rows locked. Locks and errors: as _end_items.
create or replace function postmill._collect_failed(
    run_ids bigint[], steps text[], items integer[], reasons text[],
    out ended_runs bigint[], out ended_steps text[], out tasks postmill.flow_tasks
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    dead record;
    map  record;
begin
    select array_agg(t.run_id) as runs, array_agg(t.step) as steps, array_agg(t.item) as items,
           array_agg(t.reason) as reasons
      into dead
      from unnest(run_ids, steps, items, reasons) as t (run_id, step, item, reason)
--+ its_run
--+ its_step
     where t.item is not null and step.kind = 'map' and step.on_dead = 'collect';
    if dead.runs is not null then
        select * into map
          from postmill._end_items(dead.runs, dead.steps, dead.items,
                                   array_fill(null::text, array[cardinality(dead.items)]), dead.reasons);
        ended_runs := map.ended_runs;
        ended_steps := map.ended_steps;
        tasks := map.tasks;
    end if;
end
$$;
