-- The names of schedules, for the shell. Called by the command line's completion. Takes no locks.
select name from postmill.schedule_list order by name limit 200
