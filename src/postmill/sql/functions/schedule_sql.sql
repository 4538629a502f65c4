-- Makes a schedule whose ticks run a SQL command, or changes the one of that name; returns its id. The command runs in
-- this database as the user who calls this. `overlap`, `catch_up`, `timezone`: as schedule's.
-- Called by people, applications and the command line. Locks: the schedule's row. Errors: PM003 an argument out of its
-- range; insufficient_privilege where the schedule is another user's or its user may not make functions in schema
-- postmill_commands.
create or replace function postmill.schedule_sql(
    name     text,
    schedule text,
    command  text,
    timezone text default 'UTC',
    overlap  text default 'skip',
    catch_up text default 'one'
) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._check_schedule(name, schedule, '{}', timezone, overlap, catch_up, '0', '{}');
    if coalesce(trim(command), '') = '' then
        raise exception 'there is no command' using errcode = 'PM003', hint = 'For example: ''vacuum analyze orders''.';
    end if;
    return postmill._put_schedule(
        schedule_sql.name, schedule_sql.schedule, schedule_sql.timezone, jsonb_build_object('command', command),
        current_user, schedule_sql.overlap, schedule_sql.catch_up, '0');
end
$$;
