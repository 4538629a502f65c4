-- The newest runs that have not ended, for the shell. Called by the command line's completion. Takes no locks.
select run_id from postmill.runs where ended_at is null order by run_id desc limit 200
