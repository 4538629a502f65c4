-- Seconds until the next call is due that is not sent yet; null when there is none. With $1 calls of functions too, and
-- none that waits for another. Called by: calls. Takes no locks.
select extract(epoch from due_at - clock_timestamp())::double precision
  from postmill.calls as c
 where started_at is null and ($1::boolean or function_name is null)
--+ not_held_back
 order by due_at limit 1
