-- The schedules that want a look: broken ones, those that fail, with the first line of the error, then by their next
-- tick; $1 at most.
-- Called by the command line (top). Takes no locks. Errors: none.
select name as schedule, state, recurrence, timezone, fires, target ->> 'queue' as queue, next_at, last_tick as last_at,
       last_status, problem, left(split_part(last_error, chr(10), 1), 200) as last_error, changed_at
  from postmill.schedule_list
 order by state <> 'broken', not is_failing, state <> 'active', next_at, name
 limit $1::integer
