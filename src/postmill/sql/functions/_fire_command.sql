-- Writes down that a schedule's command is to run for one tick; nulls when the tick has a run already. While the last
-- run is not done, `overlap` says what becomes of it; of a number of seconds at most one run waits.
-- Called by fire_schedules, run_schedule and join_runners. Locks: the run. Errors: none of its own.
create or replace function postmill._fire_command(
    schedule_id bigint, tick timestamptz, out status text, out reason text
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    known postmill.schedules;
    first timestamptz;
    waits boolean;
begin
    select s.* into known from postmill.schedules as s where s.schedule_id = _fire_command.schedule_id;
    select min(run.tick), coalesce(bool_or(run.status = 'pending'), false) into first, waits
    from postmill.schedule_runs as run
    where run.schedule_id = _fire_command.schedule_id and run.status in ('pending', 'running');
    status := 'pending';
    if first is not null and (known.overlap = 'skip' or known.overlap = 'queue' and waits
                              and known.recurrence ~* $re$^\s*[0-9]+\s*s$re$) then
        status := 'skipped';
        reason := format('the run of %s is not done', first);
    end if;
    insert into postmill.schedule_runs (schedule_id, tick, status, reason, ended_at)
    values (_fire_command.schedule_id, _fire_command.tick, status, reason,
            case when status = 'skipped' then clock_timestamp() end)
    on conflict do nothing;
    if not found then
        status := null;
        reason := null;
    end if;
end
$$;
