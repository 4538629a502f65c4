-- Lets the schedule $1 fire again. Called by the client and the command line.
-- Locks and errors as postmill.resume_schedule.
select postmill.resume_schedule($1::text)
