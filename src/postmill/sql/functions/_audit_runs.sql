-- Fails runs whose next task is nowhere: neither in a queue nor held. One that undoes what it has done goes on with
-- that. A wait of a graph, and a workflow that is parked until a time, have their timers sent again. Cancels runs for
-- which no run waits any more, as it has failed. Looks at the next `most` runs that have not ended, when that is due:
-- every 30 s, and at once while there are more. Returns whether there are.
-- Called by sweep_flows. Lock order: the row of flow_audit (skipping locked); the runs by id, skipping locked ones;
-- then as _fail_runs, _undo_next, _send_tasks, _send_wakes and _cancel_orphans. Errors: none.
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
    select array_agg(free.run_id) filter (where missing.due_at is null) as runs,
           array_agg(missing.step) filter (where missing.due_at is null) as steps,
           array_agg(missing.reason) filter (where missing.due_at is null) as reasons,
           array_agg(free.run_id) filter (where free.state = 'undoing' and missing.due_at is null) as undoing,
           array_agg(free.run_id) filter (where missing.due_at = free.due_at) as parked,
           array_agg(missing.due_at) filter (where missing.due_at = free.due_at) as parked_until,
           array_agg(missing.due_at) filter (where missing.is_timer) as due_at,
           array_agg(postmill._queue_of_task(free.version_id, missing.step)) filter (where missing.is_timer) as queues,
           array_agg(jsonb_build_object('run', free.run_id, 'flow', free.flow, 'step', missing.step))
               filter (where missing.is_timer) as timers,
           array_agg(free.priority::integer) filter (where missing.is_timer) as priorities
    into lost
    from (select *, step is not null and due_at is not null as is_timer from postmill._lost_tasks(page)) as missing
    join (select run.run_id, run.version_id, run.flow, run.state, run.priority,
                 case when run.state in ('waiting', 'undoing') then run.due_at end as due_at
          from postmill.runs as run
          where run.run_id = any (page) and run.ended_at is null
          order by run.run_id for no key update skip locked) as free using (run_id);
    if lost.runs is not null then
        perform postmill._fail_runs(lost.runs, lost.steps, lost.reasons);
    end if;
    if lost.undoing is not null then
        perform postmill._undo_next(lost.undoing);
    end if;
    if lost.timers is not null then
        perform postmill._send_tasks(lost.queues, lost.due_at, lost.timers, lost.priorities);
    end if;
    if lost.parked is not null then  -- under a new number, should the old message be somewhere after all
        update postmill.runs as run set wake = run.wake + 1 where run.run_id = any (lost.parked);
        perform postmill._send_wakes(lost.parked, lost.parked_until);
    end if;
    perform postmill._cancel_orphans(page);
    update postmill.flow_audit
    set due_at = clock_timestamp() + case when is_last then interval '30 seconds' else interval '0' end,
        run_id = case when is_last then 0 else page[cardinality(page)] end;
    return not is_last;
end
$$;
