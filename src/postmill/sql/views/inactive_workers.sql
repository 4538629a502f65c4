-- Workers that stopped, or have been silent for too long to be shown as active.
create or replace view postmill.inactive_workers as
select
    worker_id, queue_name, function_name, hostname, pid, version, started_at, last_heartbeat_at,
    deprecated_at, stopped_at, stop_reason, in_flight, max_concurrent
from postmill.workers as worker
where not exists (select from postmill.active_workers as active where active.worker_id = worker.worker_id);
