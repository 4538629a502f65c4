-- The name of the function that holds a schedule's command.
-- Called by claim_command and _why_not_run. Takes no locks. Errors: none.
create or replace function postmill._command_function(schedule_id bigint) returns text
language sql immutable
set search_path = ''
as $$
    select format('postmill_commands.job_%s()', schedule_id);
$$;
