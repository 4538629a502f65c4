-- Whether this session runs the command of a schedule just now: the function of each command asks first, so that
-- whoever may call it can't do so out of turn.
-- Called by the functions in schema postmill_commands, as the users they belong to. Takes no locks. Errors: none.
create or replace function postmill_commands.runs_here(schedule_id bigint) returns boolean
language sql stable security definer
set search_path = ''
as $$
    select exists (
        select from postmill.schedule_runs as run
        where run.schedule_id = runs_here.schedule_id and run.status = 'running'
          and run.pid = pg_catalog.pg_backend_pid());
$$;
grant execute on function postmill_commands.runs_here(bigint) to public;
