-- Calls that are due and have waited for more than $1 seconds all the same: no process makes calls. One that
-- waits for another call is not due. Called by: db checks. Takes no locks. Errors: none.
select count(*) as waiting, extract(epoch from clock_timestamp() - min(due_at))::float8 as oldest_s
  from (select due_at from postmill.calls as c
         where started_at is null and due_at < statement_timestamp() - $1::float8 * interval '1 second'
--+ not_held_back
         order by due_at limit 10000) as late
