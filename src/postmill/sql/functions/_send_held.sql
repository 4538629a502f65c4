-- Sends held tasks again: those of a version, or of a run, that are held for this reason. Returns how many.
-- Called by register_flow and resume_run, which has locked the run's row. Lock order: held_tasks, queues. Errors: those
-- of _send_tasks.
create or replace function postmill._send_held(version_id integer, run_id bigint, why text) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    freed record;
begin
    with gone as (
        delete from postmill.held_tasks as held
         using postmill.runs as run
         where held.why = _send_held.why and run.run_id = held.run_id
           and (run.version_id = _send_held.version_id or held.run_id = _send_held.run_id)
        returning held.task_id, held.step, held.queue_name, held.message, held.run_id, run.version_id, run.priority
    )
    select array_agg(gone.queue_name order by task_id) as queues, array_agg(clock_timestamp()) as due_at,
           array_agg(gone.message order by task_id) as messages,
           array_agg(postmill._priority_of_task(gone.version_id, gone.step, gone.priority) order by task_id)
               as priorities,
           array_agg(postmill._group_of_held(gone.run_id, gone.step, gone.message) order by task_id) as groups
      into freed
      from gone;
    if freed.queues is not null then
        perform postmill._send_tasks(freed.queues, freed.due_at, freed.messages, freed.priorities, freed.groups);
    end if;
    return coalesce(cardinality(freed.queues), 0);
end
$$;
