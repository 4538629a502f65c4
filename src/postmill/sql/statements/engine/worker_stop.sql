-- A worker's planned end. Called by: engine, last of all. $1 worker, $2 reason. Lock order: postmill.workers,
-- listeners.
with stopped as (
    update postmill.workers
       set stopped_at = clock_timestamp(), stop_reason = $2::text, in_flight = 0
     where worker_id = $1::uuid
)
delete from postmill.idle_workers where worker_id = $1::uuid
