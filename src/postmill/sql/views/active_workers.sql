-- Workers that have not stopped and whose heartbeat is at most 6 seconds old: an idle worker writes one every 3.6 to
-- 4.4 seconds, and one may be late. The one home of this bound in SQL: it decides which workers are shown and woken.
-- Which workers are gone is decided by the function _silent_after.
create or replace view postmill.active_workers as
select
    worker_id, queue_name, function_name, hostname, pid, version, started_at, last_heartbeat_at,
    deprecated_at, stopped_at, stop_reason, in_flight, max_concurrent
from postmill.workers
where stopped_at is null and last_heartbeat_at >= clock_timestamp() - interval '6 seconds';
