-- Lets a paused schedule fire again, from its next tick on. Calling it again is harmless.
-- Called by people and the command line. Locks: the schedule's row. Errors: PM008 no such schedule.
create or replace function postmill.resume_schedule(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    id bigint := postmill._schedule_id(resume_schedule.name);
begin
    update postmill.schedules as s
       set paused_at = null, paused_by = null, next_at = null, changed_at = postmill.now()
     where s.schedule_id = id and s.paused_at is not null;
end
$$;
