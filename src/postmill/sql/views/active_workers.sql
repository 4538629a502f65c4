-- Workers whose heartbeat is at most 6 seconds old and who have not stopped (they beat every 5 seconds).
create or replace view postmill.active_workers as
select
    worker_id, queue_name, function_name, hostname, pid, version, started_at, last_heartbeat_at,
    deprecated_at, stopped_at, stop_reason, in_flight, max_concurrent
from postmill.workers
where stopped_at is null and last_heartbeat_at >= clock_timestamp() - interval '6 seconds';
