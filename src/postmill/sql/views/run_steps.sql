-- Every step of every run that is kept, without outputs; of a workflow those that are recorded. `state`: waiting,
-- started, completed, failed, skipped (that was decided: see `reason`), or cancelled (its run ended before it could).
-- `place`: in order of definition; of a workflow null. `tasks`: of a map, with how many are done and have failed.
-- Of a workflow's step that waits for its next attempt `attempts` have failed, the last one with `reason`, and the next
-- is due at `due_at`.
create or replace view postmill.run_steps as
select run.run_id, coalesce(known.step, step.step) as step, known.place, coalesce(known.kind, 'step') as kind,
       case when run.ended_at is not null and coalesce(step.state, 'waiting') in ('waiting', 'started')
            then 'cancelled' else coalesce(step.state, 'waiting') end as state,
       step.tasks, step.tasks - step.tasks_left as tasks_done, step.attempts, step.reason, known.signal,
       known.needs, step.started_at, step.ended_at, step.undone_at,
       step.due_at,
       case when step.tasks is not null then (
           select count(*) from postmill.items as item
            where item.run_id = run.run_id and item.step = step.step and item.reason is not null) end as tasks_failed
  from postmill.runs as run
  left join postmill.flow_steps as known on known.version_id = run.version_id
  left join postmill.steps as step
       on step.run_id = run.run_id and step.step = coalesce(known.step, step.step)
 where coalesce(known.step, step.step) is not null;
