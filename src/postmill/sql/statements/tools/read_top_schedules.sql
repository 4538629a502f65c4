-- The schedules that want a look: broken ones, those whose last run failed, then by their next tick; $1 at most.
-- Called by the command line (top). Takes no locks. Errors: none.
select name as schedule, state, recurrence, timezone, fires, target ->> 'queue' as queue, next_at, last_tick as last_at,
       last_status, problem, changed_at
  from postmill.schedule_list
 order by state <> 'broken', last_status is distinct from 'failed', state <> 'active', next_at, name
 limit $1::integer
