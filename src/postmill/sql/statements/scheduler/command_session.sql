-- Lets the server end a command whose scheduler is gone, within five seconds. Called by: scheduler, for each session
-- that runs commands. Errors: where the system can't tell, the server refuses the setting.
set client_connection_check_interval = '5s'
