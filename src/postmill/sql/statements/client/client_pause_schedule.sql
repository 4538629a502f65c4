-- Lets the schedule $1 fire no more. Called by the client and the command line.
-- Locks and errors as postmill.pause_schedule.
select postmill.pause_schedule($1::text)
