-- A worker's sign of life. Called by: engine heartbeat, every 5 s. $1 worker, $2 messages in flight, $3 queue, $4 ids it is running.
-- Returns whether it is to drain, and which of its running messages somebody wants cancelled. A worker that was declared dead while
-- it could not reach the server is alive again by this.
with alive as (
    update postmill.workers
       set last_heartbeat_at = clock_timestamp(), in_flight = $2::integer, stopped_at = null, stop_reason = null
     where worker_id = $1::uuid
    returning deprecated_at
)
select exists (select from alive) as known,
       exists (select from alive where deprecated_at is not null) as deprecated,
       array(select msg_id from postmill.cancellations
              where queue_name = $3::text and cancelled_at is null and msg_id = any ($4::bigint[])) as cancelled
