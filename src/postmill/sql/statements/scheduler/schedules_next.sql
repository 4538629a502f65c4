-- Seconds until the next tick of any schedule; null when there is none. Called by: scheduler. Takes no locks.
select extract(epoch from next_at - postmill.now())::double precision
  from postmill.schedules
 where paused_at is null and problem is null
 order by next_at nulls first
 limit 1
