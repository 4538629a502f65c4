-- Takes the next command that waits. Called by: scheduler, in the session that runs it. Locks and errors as
-- postmill.claim_command.
select run_id, name, tick, command, function from postmill.claim_command()
