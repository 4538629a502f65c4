-- Fires a schedule now, also a paused one, beside its ticks; returns the id of the message, of the call or of the
-- flow's run, null for a SQL command. `overlap` does not hold for it: whoever asks wants it now. A command's runs wait
-- for each other, unless they may overlap.
-- Called by people and the command line. Locks: the schedule's row, and what the message needs. Errors: PM008 no such
-- schedule; those of send, _make_call and _start_scheduled.
create or replace function postmill.run_schedule(name text) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    id   bigint := postmill._schedule_id(run_schedule.name);
    tick timestamptz := clock_timestamp();
begin
    insert into postmill.schedule_runs (schedule_id, tick, status)
    select s.schedule_id, tick, 'pending' from postmill.schedules as s
    where s.schedule_id = id and s.run_as is not null;
    if found then
        return null;
    end if;
    if exists (select from postmill.schedules as s where s.schedule_id = id and s.target ? 'call') then
        return postmill._make_call(id, tick, tick, null);
    end if;
    if exists (select from postmill.schedules as s where s.schedule_id = id and s.target ? 'flow') then
        return postmill._start_scheduled(id, tick, tick);
    end if;
    return postmill._fire(id, tick, tick, null);
end
$$;
