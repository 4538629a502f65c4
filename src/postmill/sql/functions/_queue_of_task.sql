-- The queue where a task of a version belongs: the one that was chosen for its step, or the flow's own, where also goes
-- what is of no step. Called by _audit_runs, _hold_tasks and _still_undone. Takes no locks. Errors: none.
create or replace function postmill._queue_of_task(version_id integer, step text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select known.chosen ->> 'queue' from postmill.flow_steps as known
                     where known.version_id = version.version_id and known.step = _queue_of_task.step),
                    version.queue_name)
    from postmill.flow_versions as version where version.version_id = _queue_of_task.version_id;
$$;
