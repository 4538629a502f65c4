-- Of these tasks, in their order, those that belong into the queue and have no group, or with `inside` false the
-- others.
-- Called by _send_steps. Takes no locks. Errors: none.
create or replace function postmill._tasks_of(tasks postmill.flow_tasks, queue text, inside boolean)
returns postmill.flow_tasks
language sql immutable
set search_path = pg_catalog, pg_temp
set enable_sort = on
as $$
    select row(array_agg(t.run_id order by t.place), array_agg(t.step order by t.place),
               array_agg(t.queue order by t.place), array_agg(t.due_at order by t.place),
               array_agg(t.message order by t.place), array_agg(t.priority order by t.place),
               case when count(t.group_key) > 0 then array_agg(t.group_key order by t.place) end)::postmill.flow_tasks
      from unnest(tasks.run_ids, tasks.steps, tasks.queues, tasks.due_at, tasks.messages, tasks.priorities,
                  tasks.groups)
           with ordinality as t (run_id, step, queue, due_at, message, priority, group_key, place)
     where (t.queue = _tasks_of.queue and t.group_key is null) = inside
$$;
