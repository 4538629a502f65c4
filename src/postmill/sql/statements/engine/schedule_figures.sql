-- Schedules in numbers, for monitoring: how many there are of each state, how many are late by more than $1 seconds, of
-- how many the last run that has ended failed, the first hundred names of these, and the seconds until the next tick
-- (null when none comes).
-- Called by the probe, when its metrics are asked for. Takes no locks. Errors: none.
select count(*) filter (where state = 'active') as active,
       count(*) filter (where state = 'paused') as paused,
       count(*) filter (where state = 'broken') as broken,
       count(*) filter (where state = 'active'
           and coalesce(next_at, changed_at) < postmill.now() - $1::float8 * interval '1 second') as late,
       count(*) filter (where state <> 'paused' and is_failing) as failing,
       (array_agg(name order by name) filter (where state <> 'paused' and is_failing))[1:100] as failing_names,
       extract(epoch from min(next_at) filter (where state = 'active') - postmill.now())::float8 as next_tick_s
  from postmill.schedule_list
