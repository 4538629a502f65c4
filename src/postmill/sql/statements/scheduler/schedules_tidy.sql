-- Writes down and deletes runs that have ended. Called by: scheduler now and then. Locks and errors as
-- postmill.tidy_schedule_runs.
select postmill.tidy_schedule_runs()
