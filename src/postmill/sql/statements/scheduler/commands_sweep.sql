-- Ends runs that no process will end. Called by: scheduler. Locks and errors as postmill.sweep_commands.
select name, tick, status, reason from postmill.sweep_commands()
