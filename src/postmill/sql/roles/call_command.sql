-- Calls the function of a scheduled command, by its name in schema postmill_commands, and says how many rows its last
-- statement touched. It belongs to postmill_nobody, a role without any right: a function that its user has made
-- SECURITY INVOKER meanwhile runs with no right, and inside a SECURITY DEFINER function no code can take another role.
-- Checked alone, the flag could change between the look and the call. What is deferred to the commit runs before the
-- end, with no right either.
-- Called by the scheduler, in the session of the run. Locks: what the command locks. Errors: PM003 no such name; those
-- of the command.
-- It is made anew each time, by the owner of schema postmill, and given away. Where that owner is no superuser it takes
-- the admin option on postmill_nobody; without it there is no such function, and _why_not_run says so.
drop function if exists postmill.call_command(text);
create function postmill.call_command(function_name text) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    touched bigint;
begin
    if coalesce(function_name, '') !~ '^job_[0-9]+_[0-9a-f]{32}$' then
        raise exception 'no function of a scheduled command: %', function_name
            using errcode = 'PM003', hint = 'The scheduler calls this, with what claim_command has returned.';
    end if;
    execute format('select postmill_commands.%I()', function_name) into touched;
    set constraints all immediate;
    return touched;
end
$$;
revoke all on function postmill.call_command(text) from public;
grant execute on function postmill.call_command(text) to postmill_scheduler;
grant usage on schema postmill_commands to postmill_nobody;
do $$
declare
    made     regprocedure;
    -- Since PostgreSQL 16 whoever makes a role may administer it, and is no member.
    may_give boolean := pg_has_role('postmill_nobody',
                                    case when current_setting('server_version_num')::integer >= 160000 then 'set'
                                    else 'member' end);
begin
    grant create on schema postmill to postmill_nobody;
    if not may_give then
        execute format('grant postmill_nobody to %I', current_user);
    end if;
    alter function postmill.call_command(text) owner to postmill_nobody;
    if not may_give then
        execute format('revoke postmill_nobody from %I', current_user);
    end if;
    revoke create on schema postmill from postmill_nobody;
    -- Commands that were scheduled before the role was there.
    for made in
        select known.oid from pg_proc as known
        where known.pronamespace = 'postmill_commands'::regnamespace and known.proname ~ '^job_[0-9]+_[0-9a-f]{32}$'
          and pg_has_role(known.proowner, 'usage')
    loop
        execute format('grant execute on function %s to postmill_nobody', made);
    end loop;
exception when insufficient_privilege then
    drop function postmill.call_command(text);
end
$$;
