-- What has changed since `since`, the `next` of the read before; by the first read all there is. With `only_run` of
-- one run: the run, its steps and what they said; else of all runs: those that have not ended or ended within a day.
-- A run that has not ended is told at each read of it: it comes to wait without a change of its own row.
-- Rows that were committed late are never missed; one may be told twice. `next` is the oldest transaction that is open
-- now: what it writes comes later. Each change has `what` (run, step or event), run_id, and its columns.
-- Called by people, clients and dashboards. Takes no locks. Errors: PM009 no such run.
create or replace function postmill.run_changes(
    only_run bigint default null, since xid8 default null, out next xid8, out changes jsonb
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
    if only_run is not null and not exists (select from postmill.runs as run where run.run_id = only_run) then
        perform postmill._refuse_missing_run(only_run);
    end if;
    -- One statement, one snapshot: what it does not see is of a transaction that has not ended.
    select pg_snapshot_xmin(pg_current_snapshot()),
           coalesce(jsonb_agg(change.told order by change.changed, change.place), '[]')
    into next, changes
    from (
        select jsonb_build_object(
                   'what', 'run', 'run_id', run.run_id, 'flow', run.flow, 'state', postmill._run_state(run),
                   'culprit', run.culprit, 'reason', run.reason, 'waits_for', run.waits_for,
                   'ended_at', run.ended_at) as told,
               run.changed, 3 as place
        from postmill.runs as run
        where case when only_run is not null
                   then run.run_id = only_run and (since is null or run.changed >= since or run.ended_at is null)
                   when since is null then run.ended_at is null
                   else (run.ended_at is null or run.ended_at > clock_timestamp() - interval '1 day')
                        and run.changed >= since end
        union all
        select jsonb_build_object(
                   'what', 'step', 'run_id', step.run_id, 'step', step.step, 'state', step.state, 'tasks', step.tasks,
                   'tasks_left', step.tasks_left, 'attempts', step.attempts, 'due_at', step.due_at,
                   'reason', step.reason, 'started_at', step.started_at, 'ended_at', step.ended_at), step.changed, 1
        from postmill.steps as step
        where step.run_id = only_run and (since is null or step.changed >= since)
        union all
        select jsonb_build_object('what', 'event', 'run_id', event.run_id, 'event_id', event.event_id,
                                  'step', event.step, 'name', event.name, 'value', event.value,
                                  'said_at', event.said_at), event.changed, 2
        from postmill.run_events as event
        where event.run_id = only_run and (since is null or event.changed >= since)
    ) as change;
end
$$;
