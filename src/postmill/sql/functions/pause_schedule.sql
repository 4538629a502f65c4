-- Lets a schedule fire no more, until resume_schedule. Ticks that pass meanwhile are gone. Calling it again is
-- harmless.
-- Called by people and the command line. Locks: the schedule's row. Errors: PM008 no such schedule.
create or replace function postmill.pause_schedule(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    id bigint := postmill._schedule_id(pause_schedule.name);
begin
    update postmill.schedules as s
       set paused_at = coalesce(s.paused_at, clock_timestamp()), paused_by = coalesce(s.paused_by, session_user)
     where s.schedule_id = id;
end
$$;
