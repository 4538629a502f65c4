-- The function that holds a schedule's command; null where there is none. Its name has a random part, so that no other
-- user can take the name in advance, and it belongs to the command's user: functions of others, whatever their names
-- are, are not looked at.
-- Called by claim_command and _why_not_run. Takes no locks. Errors: none.
create or replace function postmill._command_function(schedule_id bigint, run_as text) returns oid
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select made.oid
    from pg_catalog.pg_proc as made
    join pg_catalog.pg_roles as its_user on its_user.oid = made.proowner and its_user.rolname = $2
    -- A range, which an index finds: what follows the last _ is hexadecimal.
    where made.proname between format('job_%s_', $1)::name and format('job_%s_g', $1)::name
      and made.pronamespace = to_regnamespace('postmill_commands') and made.pronargs = 0
    order by made.oid limit 1;
$$;
