-- Calls the function $1 of a command. Called by: scheduler, in a transaction of its own. Locks: what the command locks.
-- Errors: those of the command.
select postmill.call_command($1::text)
