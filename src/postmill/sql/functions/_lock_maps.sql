-- Locks the maps that items of a settlement belong to, by (run, step). Returns whether there are any items.
-- Called by _settle_steps and _fail_steps before anything else. Lock order: steps. Errors: none.
create or replace function postmill._lock_maps(run_ids bigint[], steps text[], items integer[]) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
begin
    if array_remove(items, null) = '{}' then
        return false;
    end if;
    perform from (select distinct t.run_id, t.step from unnest(run_ids, steps, items) as t (run_id, step, item)
                   where t.item is not null order by t.run_id, t.step) as map
      cross join lateral (select from postmill.steps as s
                           where s.run_id = map.run_id and s.step = map.step
                             and s.state = 'started' and s.tasks is not null
                             for no key update offset 0) as locked;
    return true;
end
$$;
