-- Workers that stopped, or whose heartbeat is older than 6 seconds.
create or replace view postmill.inactive_workers as
select
    worker_id, queue_name, function_name, hostname, pid, version, started_at, last_heartbeat_at,
    deprecated_at, stopped_at, stop_reason, in_flight, max_concurrent
from postmill.workers
where stopped_at is not null or last_heartbeat_at < clock_timestamp() - interval '6 seconds';
