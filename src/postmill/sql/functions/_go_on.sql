-- Has steps go on that had begun: of a map its items are sent that were sent and have not succeeded; those that failed
-- are tried again where one failure fails the map. A step that runs another flow waits for that run if it goes on, is
-- told its end if it was completed, and else starts a new one.
-- Called by _begin_again, with the run's row and its steps' locked. Lock order: items, queues as _send_steps.
-- Errors: those of _send_steps.
create or replace function postmill._go_on(run_id bigint, steps text[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    id  constant bigint := _go_on.run_id;
    due record;
begin
    delete from postmill.items as item
    using postmill.runs as run join postmill.flow_steps as known using (version_id)
    where run.run_id = id and item.run_id = id and item.step = any (steps) and known.step = item.step
      and item.reason is not null and known.on_dead <> 'collect';
    update postmill.steps as step
    set state = 'started', reason = null, ended_at = null, changed = pg_current_xact_id(),
        tasks_left = step.tasks - (select count(*) from postmill.items as item
                                   where item.run_id = id and item.step = step.step and item.ended)
    where step.run_id = id and step.step = any (steps);
    select array_agg(id) as runs, array_agg(task.step) as steps, array_agg(task.queue) as queues,
           array_agg(clock_timestamp()) as due_at, array_agg(task.message) as messages,
           array_agg(task.priority) as priorities,
           case when count(task.group_key) > 0 then array_agg(task.group_key) end as groups
    into due
    from (select step.step, coalesce(known.chosen ->> 'queue', version.queue_name) as queue,
                 coalesce((known.chosen ->> 'priority')::integer, run.priority) as priority,
                 case when known.chosen ? 'group' then postmill._group_of_task(
                     known.chosen -> 'group', id, run.input, task.message -> 'value') end as group_key,
                 jsonb_build_object('run', id, 'flow', run.flow, 'step', step.step) || task.message as message
          from postmill.runs as run
          join postmill.flow_versions as version using (version_id)
          join postmill.steps as step on step.run_id = id and step.step = any (steps)
          join postmill.flow_steps as known on known.version_id = run.version_id and known.step = step.step
          cross join lateral (
              select jsonb_build_object('item', each.place - 1, 'value', each.value) as message,
                     each.place
              from jsonb_array_elements(postmill._list_of(known.over, id, run.input)) with ordinality
                  as each (value, place)
              where step.tasks is not null and each.place <= coalesce(step.next_item, step.tasks)
                and not exists (select from postmill.items as item
                                where item.run_id = id and item.step = step.step and item.item = each.place - 1
                                  and item.ended)
              union all
              select postmill._about_child(id, step.step), 0 where step.tasks is null) as task
          where run.run_id = id and task.message is not null
          order by step.step, task.place) as task;
    if due.runs is not null then
        perform postmill._send_steps(row(
            due.runs, due.steps, due.queues, due.due_at, due.messages, due.priorities,
            due.groups)::postmill.flow_tasks);
    end if;
end
$$;
