-- The runs that can't go on without one of these messages of a queue: those of which they are tasks that have not
-- ended. A message that only looks like a task is none: its run is over, has no such step in this queue, or does not
-- wait for it.
-- Called by cancel and purge_queue, which hold the messages' rows, and by _paused_run. Takes no locks. Errors: none.
create or replace function postmill._runs_of_tasks(queue text, messages jsonb[]) returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select distinct run.run_id
        from (select case when each ->> 'run' ~ '^[0-9]{1,18}$' then (each ->> 'run')::bigint end as run_id,
                     each ->> 'step' as step, each ->> 'wake' as wake, each ? 'undo' as undoes
              from unnest(messages) as each) as task
        join postmill.runs as run on run.run_id = task.run_id and run.ended_at is null
        join postmill.flow_versions as version using (version_id)
        left join postmill.flow_steps as known on known.version_id = run.version_id and known.step = task.step
        left join postmill.steps as step on step.run_id = run.run_id and step.step = task.step
        where lower(coalesce(known.chosen ->> 'queue', version.queue_name)) = lower(queue)
          and (step.state = 'started' or task.wake = run.wake::text or (task.undoes and run.state = 'undoing'))
        order by run.run_id);
$$;
