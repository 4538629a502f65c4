-- Asks for a schedule's call for one tick; nulls when the tick has a run already. While a call of the schedule has not
-- ended, `overlap` says what becomes of this one; of a number of seconds at most one waits.
-- Called by fire_schedules and _fire_at_start, with the schedule's row locked. Locks: none beyond the inserts'. Errors:
-- those of _make_call.
create or replace function postmill._fire_call(
    schedule_id bigint, tick timestamptz, visible_at timestamptz, out call_id bigint, out status text, out reason text
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    known postmill.schedules;
    last  bigint;
    waits boolean;
begin
    select s.* into known from postmill.schedules as s where s.schedule_id = _fire_call.schedule_id;
    select max(asked.call_id), coalesce(bool_or(asked.waits_for is not null and asked.attempts = 0), false)
    into last, waits
    from postmill.schedule_runs as run
    join postmill.calls as asked on asked.call_id = run.call_id
    where run.schedule_id = _fire_call.schedule_id and run.status = 'sent';
    if last is not null and (known.overlap = 'skip' or known.overlap = 'queue' and waits
                             and known.recurrence ~* $re$^\s*[0-9]+\s*s$re$) then
        status := 'skipped';
        reason := format('call %s, of a tick before, has not ended', last);
        insert into postmill.schedule_runs (schedule_id, tick, status, reason, ended_at)
        values (_fire_call.schedule_id, _fire_call.tick, status, reason, clock_timestamp()) on conflict do nothing;
        if not found then
            status := null;
            reason := null;
        end if;
        return;
    end if;
    call_id := postmill._make_call(
        _fire_call.schedule_id, _fire_call.tick, visible_at, case when known.overlap = 'queue' then last end);
    if call_id is not null then
        status := 'sent';
    end if;
end
$$;
