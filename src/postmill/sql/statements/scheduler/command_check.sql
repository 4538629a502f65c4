-- Refuses a run that this login may not run. Called by: scheduler, right before it calls the command's function, in the
-- same transaction. Errors as postmill.check_command.
select postmill.check_command($1::bigint)
