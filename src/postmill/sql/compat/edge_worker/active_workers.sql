-- The workers that are at work.
create or replace view edge_worker.active_workers as
select worker_id, queue_name, function_name, started_at, last_heartbeat_at, deprecated_at, stopped_at
from postmill.active_workers;
comment on view edge_worker.active_workers is 'Facade edge_worker of Postmill: the workers that are at work.';
