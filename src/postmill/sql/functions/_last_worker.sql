-- The worker of a queue that was heard of last, if one is on record, and why it stopped, where it said so.
-- Called by _causes. Takes no locks. Errors: none.
create or replace function postmill._last_worker(queue text)
returns table (heard timestamptz, last_worker text, host text, stop_reason text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(worker.stopped_at, worker.last_heartbeat_at), worker.function_name, worker.hostname,
        worker.stop_reason
    from postmill.workers as worker
    where worker.queue_name = _last_worker.queue
    order by worker.last_heartbeat_at desc limit 1;
$$;
