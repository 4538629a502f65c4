-- The workers that stopped or fell silent.
create or replace view edge_worker.inactive_workers as
select worker_id, queue_name, function_name, started_at, last_heartbeat_at, deprecated_at, stopped_at
from postmill.inactive_workers;
comment on view edge_worker.inactive_workers is
    'Facade edge_worker of Postmill: the workers that stopped or fell silent.';
