-- Ends the session of a command, $1 its process id, at the stop of the process that runs it. Called by: scheduler.
-- Takes no locks. Errors: none, a role may end its own sessions.
select pg_terminate_backend($1::integer)
