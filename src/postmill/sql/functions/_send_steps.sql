-- Sends tasks of steps of runs, and returns those that belong into the queue `own` and have no group: its worker
-- inserts them with the statement that it has prepared, and may begin them at once. A run whose queue
-- takes none, because it is gone, fails, and says so.
-- Called by whatever has started steps, with the runs' rows locked (of a map whose items are sent: the step's). Locks
-- and errors: as _send_tasks and _fail_runs.
create or replace function postmill._send_steps(tasks postmill.flow_tasks, own text default null)
returns postmill.flow_tasks
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    others  postmill.flow_tasks := tasks;
    refused text[];
begin
    if array_remove(tasks.queues, own) = '{}' and tasks.groups is null then  -- null: there are no tasks
        return tasks;
    elsif own = any (tasks.queues) then
        select (t).* into tasks from postmill._tasks_of(others, own, true) as t;
        select (t).* into others from postmill._tasks_of(others, own, false) as t;
    else
        tasks := null;
    end if;
    if others.queues is null then
        return null;
    end if;
    refused := postmill._send_tasks(others.queues, others.due_at, others.messages, others.priorities,
                                    others.groups);
    if refused <> '{}' then
        perform from postmill.runs as run
          where run.run_id = any (array(select t.run_id from unnest(others.run_ids, others.queues) as t (run_id, queue)
                                         where t.queue = any (refused)))
          order by run.run_id for no key update;
        perform postmill._fail_runs(array_agg(lost.run_id), array_agg(lost.step), array_agg(lost.reason))
           from (select distinct on (t.run_id) t.run_id, t.step,
                        format('there is no queue %s that takes its tasks', quote_literal(t.queue)) as reason
                   from unnest(others.run_ids, others.steps, others.queues) as t (run_id, step, queue)
                  where t.queue = any (refused)
                  order by t.run_id, t.step) as lost;
    end if;
    return tasks;
end
$$;
