-- Why a process that is logged in as `login` may not run a schedule's command; null: it may. Its own commands run as
-- itself. Those of another user run through that user's function, which must be as _write_command has made it: with
-- another owner, or without SECURITY DEFINER, its text would run as somebody else.
-- Called by claim_command, check_command, look_for_commands and sweep_commands. Takes no locks. Errors: none.
create or replace function postmill._why_not_run(login text, schedule_id bigint, run_as text) returns text
language sql stable
set search_path = ''
as $$
    select case
        when run_as = login then null
        when its_user.oid is null then format('the role %I is gone', run_as)
        when its_user.rolsuper then format(
            '%I is a superuser: only a process that is logged in as %I runs its commands', run_as, run_as)
        when process.rolsuper then format(
            'a superuser (%I) runs no command of another user: run schedules in a process that is logged in as a'
            ' member of postmill_scheduler', login)
        when scheduler.oid is null then
            'there is no role postmill_scheduler: create role postmill_scheduler, grant it to the login of the process'
            ' that runs schedules, and schedule the command again'
        when not pg_catalog.pg_has_role(process.oid, scheduler.oid, 'usage') then format(
            'the process is logged in as %I: grant postmill_scheduler to %I', login, login)
        when made.oid is null then format('its function %s is gone: schedule the command again', wanted.name)
        when made.proowner <> its_user.oid or not made.prosecdef then format(
            'the function %s is not as it was made: schedule the command again', wanted.name)
        when not pg_catalog.has_function_privilege(scheduler.oid, made.oid, 'execute') then format(
            'as %I: grant execute on function %s to postmill_scheduler', run_as, wanted.name)
        end
    from (select postmill._command_function(schedule_id)) as wanted (name)
    left join pg_catalog.pg_roles as its_user on its_user.rolname = run_as
    left join pg_catalog.pg_roles as process on process.rolname = login
    left join pg_catalog.pg_roles as scheduler on scheduler.rolname = 'postmill_scheduler'
    left join pg_catalog.pg_proc as made on made.oid = to_regprocedure(wanted.name);
$$;
