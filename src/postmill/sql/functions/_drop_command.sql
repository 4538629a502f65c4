-- Drops the function of a command whose schedule is removed. A role that may not, such as an operator who owns nothing,
-- leaves it: no run calls it any more.
-- Called by: trigger on postmill.schedules, after delete, as whoever removes the schedule. Takes no locks. Errors:
-- none.
create or replace function postmill._drop_command() returns trigger
language plpgsql volatile
set search_path = ''
as $$
begin
    execute format('drop function if exists postmill_commands.job_%s()', old.schedule_id);
    return null;
exception when insufficient_privilege then
    return null;
end
$$;
