-- Removes the schedules of queue $1. Called by: bench schedules. Locks their rows.
delete from postmill.schedules where target ->> 'queue' = $1::text
