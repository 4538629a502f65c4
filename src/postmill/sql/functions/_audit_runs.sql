-- Fails runs whose next task is nowhere: neither in a queue nor held. One that undoes what it has done goes on with
-- that. Cancels runs for which no run waits any more, as it has failed. Looks at the next `most` runs that have not
-- ended, when that is due: every 30 s, and at once while there are more. Returns whether there are.
-- Called by sweep_flows. Lock order: the row of flow_audit (skipping locked); the runs by id, skipping locked ones;
-- then as _fail_runs, _undo_next and _cancel_orphans. Errors: none.
create or replace function postmill._audit_runs(most integer) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    duty    postmill.flow_audit;
    page    bigint[];
    lost    record;
    is_last boolean;
begin
    insert into postmill.flow_audit default values on conflict do nothing;
    select * into duty from postmill.flow_audit where due_at <= clock_timestamp() for update skip locked;
    if not found then
        return false;
    end if;
    page := array(select run.run_id from postmill.runs as run
                  where run.ended_at is null and run.run_id > duty.run_id order by run.run_id limit most);
    is_last := cardinality(page) < most;
    select array_agg(free.run_id) as runs, array_agg(missing.step) as steps, array_agg(missing.reason) as reasons,
           array_agg(free.run_id) filter (where free.state = 'undoing') as undoing
    into lost
    from postmill._lost_tasks(page) as missing
    join (select run.run_id, run.state from postmill.runs as run
          where run.run_id = any (page) and run.ended_at is null
          order by run.run_id for no key update skip locked) as free using (run_id);
    if lost.runs is not null then
        perform postmill._fail_runs(lost.runs, lost.steps, lost.reasons);
    end if;
    if lost.undoing is not null then
        perform postmill._undo_next(lost.undoing);
    end if;
    perform postmill._cancel_orphans(page);
    update postmill.flow_audit
    set due_at = clock_timestamp() + case when is_last then interval '30 seconds' else interval '0' end,
        run_id = case when is_last then 0 else page[cardinality(page)] end;
    return not is_last;
end
$$;
