-- Every worker.
create or replace view edge_worker.workers as
select worker_id, queue_name, function_name, started_at, last_heartbeat_at, deprecated_at, stopped_at
from postmill.workers;
comment on view edge_worker.workers is 'Facade edge_worker of Postmill: every worker.';
