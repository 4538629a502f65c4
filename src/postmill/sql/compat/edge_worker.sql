-- The names that people with Edge Worker dashboards query; applied only where no schema edge_worker is here already.
-- Which workers are active, the views of schema postmill say.
create schema if not exists edge_worker;
comment on schema edge_worker is 'Facade of Postmill: the views people know from Edge Worker.';
create or replace view edge_worker.workers as
select
    worker_id, queue_name, function_name, started_at, last_heartbeat_at, deprecated_at, stopped_at
from postmill.workers;
create or replace view edge_worker.active_workers as
select worker_id, queue_name, function_name, started_at, last_heartbeat_at, deprecated_at, stopped_at
from postmill.active_workers;
create or replace view edge_worker.inactive_workers as
select worker_id, queue_name, function_name, started_at, last_heartbeat_at, deprecated_at, stopped_at
from postmill.inactive_workers;
