-- The key of the session lock that shows that a run of a command has its session.
-- Called by claim_command and sweep_commands. Takes no locks. Errors: none.
create or replace function postmill._command_lock(run_id bigint) returns bigint
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select hashtextextended(format('postmill command %s', run_id), 0);
$$;
