-- Starts a schedule's flow for one tick; nulls when the tick has a run already. While a run of a tick before has not
-- ended, `overlap` says what becomes of this one.
-- Called by fire_schedules and _fire_at_start, with the schedule's row locked. Locks and errors: as _start_scheduled.
create or replace function postmill._fire_flow(
    schedule_id bigint, tick timestamptz, visible_at timestamptz, out status text, out reason text
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    last bigint;
begin
    select max(run.flow_run) into last
    from postmill.schedule_runs as run
    join postmill.schedules as s using (schedule_id)
    where run.schedule_id = _fire_flow.schedule_id and run.status = 'sent' and s.overlap = 'skip';
    if last is null then
        if postmill._start_scheduled(schedule_id, tick, visible_at) is not null then
            status := 'sent';
        end if;
        return;
    end if;
    insert into postmill.schedule_runs (schedule_id, tick, status, reason, ended_at)
    values (_fire_flow.schedule_id, _fire_flow.tick, 'skipped',
            format('run %s, of a tick before, has not ended', last), clock_timestamp()) on conflict do nothing
    returning schedule_runs.status, schedule_runs.reason into status, reason;
end
$$;
