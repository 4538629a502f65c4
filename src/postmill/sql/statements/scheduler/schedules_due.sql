-- The schedules that are due, their rows locked for this transaction: whoever has them fires them, and no other process
-- does. Those that no scheduler has read since they were made come first. $1 at most. Called by: scheduler.
-- Returns the time by which schedules are judged with each. Locks: the schedules' rows, skipping locked ones.
select schedule_id, name, recurrence, timezone, catch_up, jitter, changed_at, next_at, postmill.now() as now
  from postmill.schedules
 where paused_at is null and problem is null and (next_at is null or next_at <= (select postmill.now()))
 order by next_at nulls first
 limit $1::integer
   for update skip locked
