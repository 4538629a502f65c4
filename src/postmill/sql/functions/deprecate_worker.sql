-- Asks a worker to finish what it runs and stop, as on SIGTERM; it learns of it at its next heartbeat.
-- Called by people and the command line. Locks: the worker's row. Errors: PM006 no such worker, or it has stopped.
create or replace function postmill.deprecate_worker(worker_id uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    update postmill.workers as worker set deprecated_at = coalesce(worker.deprecated_at, clock_timestamp())
    where worker.worker_id = deprecate_worker.worker_id and worker.stopped_at is null;
    if not found then
        raise exception 'no worker % is running', deprecate_worker.worker_id
            using errcode = 'PM006', hint = 'See the view postmill.active_workers.';
    end if;
end
$$;
