-- Stands before a SQL command whose syntax is to be checked: the server reads a text of several statements whole before
-- it runs the first of them, and this one raises PMOK0. So nothing of the command is run.
-- Called by db schedules. Takes no locks. Errors: PMOK0, always.
do $$ begin raise sqlstate 'PMOK0'; end $$;
