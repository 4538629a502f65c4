-- Removes a schedule and the list of its runs. What it has sent stays.
-- Called by people and the command line. Locks: the schedule's row, its runs. Errors: PM008 no such schedule.
create or replace function postmill.unschedule(name text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    id bigint := postmill._schedule_id(unschedule.name);
begin
    delete from postmill.schedules as s where s.schedule_id = id;
end
$$;
