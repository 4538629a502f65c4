-- Why a process that is logged in as `login` may not run a schedule's command; null: it may. Its own commands run as
-- itself. Those of another user run through that user's function, which must be as _write_command has made it. That is
-- said here for people: what protects the process is that call_command belongs to a role without any right.
-- Called by claim_command, check_command, look_for_commands and sweep_commands. Takes no locks. Errors: none.
create or replace function postmill._why_not_run(login text, schedule_id bigint, run_as text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
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
            'there is no role postmill_scheduler: run postmill migrate --roles, grant the role to the login of the'
            ' process that runs schedules, and schedule the command again'
        when not pg_catalog.pg_has_role(process.oid, scheduler.oid, 'usage') then format(
            'the process is logged in as %I: grant postmill_scheduler to %I', login, login)
        when caller.proowner is distinct from nobody.oid or not caller.prosecdef then
            'there is no function postmill.call_command that belongs to postmill_nobody: run postmill migrate --roles,'
            ' as a superuser or with the admin option on postmill_nobody'
        when made.oid is null then format('the function of its command, which %I owned, is gone: schedule the command'
                                          ' again', run_as)
        when not made.prosecdef then format(
            'the function %s is not as it was made: schedule the command again', made.oid::regprocedure)
        when not pg_catalog.has_function_privilege(nobody.oid, made.oid, 'execute') then format(
            'as %I: grant execute on function %s to postmill_nobody', run_as, made.oid::regprocedure)
        end
    from (select run_as as name) as wanted
    left join pg_catalog.pg_roles as its_user on its_user.rolname = wanted.name
    left join pg_catalog.pg_roles as process on process.rolname = login
    left join pg_catalog.pg_roles as scheduler on scheduler.rolname = 'postmill_scheduler'
    left join pg_catalog.pg_roles as nobody on nobody.rolname = 'postmill_nobody'
    left join pg_catalog.pg_proc as caller on caller.oid = to_regprocedure('postmill.call_command(text)')
    left join pg_catalog.pg_proc as made on made.oid = postmill._command_function(schedule_id, run_as);
$$;
