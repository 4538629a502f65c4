-- Seconds until the next call is due that waits; null when there is none. Called by: calls. Takes no locks.
select extract(epoch from due_at - clock_timestamp())::double precision
  from postmill.calls where started_at is null order by due_at limit 1
