-- Fires the schedule $1 now. Called by the command line. Locks and errors as postmill.run_schedule.
select postmill.run_schedule($1::text) as msg_id
