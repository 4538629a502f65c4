-- A worker's sign of life. Called by: engine heartbeat, every 5 s. $1 worker, $2 messages in flight, $3 queue, $4 ids it is running,
-- $5 the receipts that it knows of; one of its own that is older than $6 seconds it should know.
-- Returns whether it is to drain, which of its running messages somebody wants cancelled, whether it holds claims that it was
-- never told of, and whether others hold any: they may be gone. A worker that was declared dead while
-- it could not reach the server is alive again by this.
with alive as (
    update postmill.workers
       set last_heartbeat_at = clock_timestamp(), lock_free_at = null, in_flight = $2::integer,
           stopped_at = null, stop_reason = null
     where worker_id = $1::uuid
    returning deprecated_at
)
select exists (select from alive) as known,
       exists (select from alive where deprecated_at is not null) as deprecated,
       array(select msg_id from postmill.cancellations
              where queue_name = $3::text and cancelled_at is null and msg_id = any ($4::bigint[])) as cancelled,
       exists (select from postmill.claims
                where worker_id = $1::uuid and claim_id <> all ($5::bigint[])
                  and claimed_at < clock_timestamp() - $6::double precision * interval '1 second') as forgotten,
       exists (select from postmill.claims where worker_id <> $1::uuid) as others_hold
