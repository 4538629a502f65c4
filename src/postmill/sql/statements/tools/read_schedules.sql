-- Every schedule, or the one named $1. Called by the command line. Takes no locks. Errors: none.
select name as schedule, state, recurrence, timezone, fires, target ->> 'queue' as queue, next_at, last_tick as last_at,
       last_status, is_failing, last_error, overlap, catch_up, extract(epoch from jitter)::float8 as jitter_s, target,
       problem, declared_by, created_by, created_at, paused_at, paused_by, changed_at, run_as
  from postmill.schedule_list
 where $1::text is null or name = $1::text
 order by name
