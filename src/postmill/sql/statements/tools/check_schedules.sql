-- Schedules that do not fire: those that can't be read, and those whose tick passed more than $1 seconds ago.
-- Called by: db checks. Takes no locks. Errors: none.
select name, problem, extract(epoch from postmill.now() - next_at)::float8 as late_s
  from postmill.schedules
 where paused_at is null
   and (problem is not null or next_at < postmill.now() - $1::float8 * interval '1 second'
        or (next_at is null and changed_at < postmill.now() - $1::float8 * interval '1 second'))
 order by name
 limit 100
