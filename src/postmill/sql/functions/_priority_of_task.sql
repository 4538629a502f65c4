-- The priority of a task of a version: the one that was chosen for its step, or its run's. Null: it has none.
-- Called by _hold_tasks and _send_held. Takes no locks. Errors: none.
create or replace function postmill._priority_of_task(version_id integer, step text, of_run smallint) returns integer
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select (known.chosen ->> 'priority')::integer from postmill.flow_steps as known
                     where known.version_id = _priority_of_task.version_id and known.step = _priority_of_task.step),
                    of_run);
$$;
