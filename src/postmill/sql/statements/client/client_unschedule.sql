-- Removes the schedule $1. Called by the client and the command line. Locks and errors as postmill.unschedule.
select postmill.unschedule($1::text)
