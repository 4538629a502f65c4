-- The runs that have not ended and whose tasks may be in this queue.
-- Called by drop_queue and _cancel_and_lock. Takes no locks. Errors: none.
create or replace function postmill._live_runs(queue text) returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select run.run_id from postmill.runs as run
        where run.ended_at is null and run.version_id in (
            select version.version_id from postmill.flow_versions as version
            where lower(version.queue_name) = lower(queue)
            union
            select step.version_id from postmill.flow_steps as step where lower(step.chosen ->> 'queue') = lower(queue))
        order by run.run_id);
$$;
