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
set search_path = ''
as $$
declare
    made bigint;
begin
    perform postmill._check_schedule(name, schedule, '{}', timezone, overlap, catch_up, '0', '{}');
    if coalesce(trim(command), '') = '' then
        raise exception 'there is no command' using errcode = 'PM003', hint = 'For example: ''vacuum analyze orders''.';
    end if;
    insert into postmill.schedules as s
           (name, recurrence, timezone, target, run_as, overlap, catch_up, jitter, changed_at)
    values (schedule_sql.name, schedule_sql.schedule, schedule_sql.timezone,
            jsonb_build_object('command', schedule_sql.command), current_user,
            schedule_sql.overlap, schedule_sql.catch_up, '0', postmill.now())
    on conflict on constraint schedules_name_key do update
       set recurrence = excluded.recurrence, timezone = excluded.timezone, target = excluded.target,
           run_as = excluded.run_as, overlap = excluded.overlap, catch_up = excluded.catch_up, jitter = excluded.jitter,
           declared_by = null, problem = null, changed_at = postmill.now(),
           next_at = case when (s.recurrence, s.timezone) = (excluded.recurrence, excluded.timezone)
                          then s.next_at end
    returning s.schedule_id into made;
    return made;
end
$$;
