-- Every schedule, for people and dashboards. `state`: active, paused or broken (see `problem`). `next_at` is null until
-- a scheduler has read the schedule; its ticks count from `changed_at`. `run_as`: as whom a SQL command or a call runs.
-- A call is shown without headers and body: they may hold keys. `fires`, in short: a queue, flow:NAME,
-- function:NAME, a URL or SQL. `is_failing`: the last run whose work has ended failed, with `last_error`.
create or replace view postmill.schedule_list as
select s.name,
       case when s.paused_at is not null then 'paused' when s.problem is not null then 'broken' else 'active' end
       as state,
       s.recurrence, s.timezone,
       case when its_call.schedule_id is null then s.target
            else jsonb_strip_nulls(jsonb_build_object(
                'function', its_call.function_name, 'url', its_call.url, 'method', its_call.method,
                'timeout_ms', its_call.timeout_ms, 'max_attempts', its_call.max_attempts)) end as target,
       s.overlap, s.catch_up, s.jitter,
       case when s.next_at < timestamptz '9999-01-01 00:00+00' then s.next_at end as next_at,  -- @reboot has none
       last.tick as last_tick, last.status as last_status,
       s.paused_at, s.paused_by, s.problem, s.declared_by, s.created_by, s.created_at, s.changed_at,
       coalesce(s.run_as, its_call.created_by) as run_as,
       coalesce(s.target ->> 'queue', 'flow:' || (s.target ->> 'flow'), 'function:' || its_call.function_name,
                its_call.url, 'SQL') as fires,
       coalesce(done.status = 'failed', false) as is_failing,
       case when done.status = 'failed' then
            coalesce(done.reason, format('message %s of queue %s is dead', done.msg_id, done.queue_name))
       end as last_error
  from postmill.schedules as s
  left join lateral (
       select run.tick, run.status from postmill.schedule_runs as run
        where run.schedule_id = s.schedule_id order by run.tick desc limit 1
       ) as last on true
  left join lateral (
       select run.status, run.reason, run.msg_id, run.queue_name from postmill.schedule_runs as run
        where run.schedule_id = s.schedule_id and run.status in ('succeeded', 'failed', 'cancelled', 'unknown')
        order by run.tick desc limit 1
       ) as done on true
  left join postmill.scheduled_calls as its_call on its_call.schedule_id = s.schedule_id;
