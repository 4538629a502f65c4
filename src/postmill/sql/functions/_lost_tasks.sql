-- Of these runs, those whose next task is nowhere, each with one step and why: in one snapshot neither a queue nor
-- held_tasks has what a step that has started, an item of a map, a workflow, or a run that undoes what it has done goes
-- on with. What waits for a signal or for another run needs no message; but a wait of a graph may have one that ends it
-- in time, and so has a workflow that is parked until a time: `due_at` says when, in the step's row or in the run's.
-- Called by _audit_runs. Takes no locks. Errors: none.
create or replace function postmill._lost_tasks(run_ids bigint[])
returns table (run_id bigint, step text, reason text, due_at timestamptz)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
    return query execute format($text$
    with task as materialized (
        select sent.message ->> 'run' as run, sent.message ->> 'step' as step, sent.message ->> 'wake' as wake,
               sent.message ? 'child' as of_child, sent.message ? 'undo' as undoes,
               case when sent.message ->> 'item' ~ '^[0-9]{1,9}$' then (sent.message ->> 'item')::integer end as item
        from (%s select message from postmill.held_tasks as held where held.run_id = any ($1)) as sent
        where sent.message ->> 'run' = any ($2)
    ), present as (
        select task.run, task.step, count(distinct task.item) filter (where item.item is null)::integer as items
        from (select * from task where not task.undoes) as task
        left join postmill.items as item
            on item.run_id::text = task.run and item.run_id = any ($1) and item.step = task.step
            and item.item = task.item and item.ended
        group by task.run, task.step
    ), woken as (
        select distinct task.run, task.wake, task.of_child, task.undoes
        from task where task.wake is not null or task.of_child or task.undoes
    ), awaited as (
        select child.parent_run as run_id, child.parent_step as step from postmill.runs as child
        where child.parent_run = any ($1) and child.ended_at is null
    )
    select distinct on (lost.run_id) lost.run_id, lost.step,
           case when postmill._has_queue(lost.queue) then 'message deleted elsewhere'
                else format('queue %%s is gone', lost.queue) end,
           case when postmill._has_queue(lost.queue) then lost.due_at end
    from (
        select run.run_id, step.step, coalesce(known.chosen ->> 'queue', version.queue_name) as queue,
               case known.kind when 'wait' then
                    step.started_at + interval '1 second' * (known.chosen ->> 'timeout_s')::float8 end as due_at
        from postmill.runs as run
        join postmill.flow_versions as version on version.version_id = run.version_id and version.kind = 'graph'
        join postmill.steps as step on step.run_id = run.run_id and step.state = 'started'
        join postmill.flow_steps as known on known.version_id = run.version_id and known.step = step.step
        left join present on present.run = run.run_id::text and present.step = step.step
        where run.run_id = any ($1) and run.state in ('running', 'paused')
          and (known.kind <> 'wait' or known.chosen ? 'timeout_s')
          and case when step.tasks is null then present.run is null
                   else coalesce(present.items, 0)
                        < step.tasks_left - step.tasks + coalesce(step.next_item, step.tasks) end
          and not exists (select from awaited where awaited.run_id = run.run_id and awaited.step = step.step)
        union all
        select run.run_id, null, version.queue_name, case run.state when 'waiting' then run.due_at end
        from postmill.runs as run
        join postmill.flow_versions as version on version.version_id = run.version_id and version.kind = 'workflow'
        where run.run_id = any ($1) and (run.waits_for is null or run.due_at is not null)
          and not exists (select from woken where woken.run = run.run_id::text
                                              and (woken.wake = run.wake::text or woken.of_child))
          and (run.state = 'running' or run.state = 'waiting' and (run.due_at is not null or not exists (
                   select from awaited where awaited.run_id = run.run_id)))
        union all
        select run.run_id, null, version.queue_name, case version.kind when 'workflow' then run.due_at end
        from postmill.runs as run
        join postmill.flow_versions as version on version.version_id = run.version_id
        where run.run_id = any ($1) and run.state = 'undoing'
          and not exists (select from woken where woken.run = run.run_id::text
                                              and (woken.wake = run.wake::text or woken.undoes))
    ) as lost
    order by lost.run_id, lost.step
    $text$, (
        select string_agg(format('select message from %s where jsonb_typeof(message) = ''object'' union all ',
                                 postmill._queue_table(known.queue)), '')
        from (select distinct coalesce(step.chosen ->> 'queue', version.queue_name) as queue
              from postmill.runs as run
              join postmill.flow_versions as version using (version_id)
              left join postmill.flow_steps as step using (version_id)
              where run.run_id = any (run_ids)
              union
              select version.queue_name
              from postmill.runs as run join postmill.flow_versions as version using (version_id)
              where run.run_id = any (run_ids)) as known
        where postmill._has_queue(known.queue)
    )) using run_ids, run_ids::text[];
end
$$;
