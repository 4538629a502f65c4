-- A worker's sign of life, and what it must be told. Called by: engine heartbeat. $1 worker, $2 messages in flight, $3
-- queue, $4 ids it is running, $5 the claims that it knows of; one of its own that is older than $6 seconds it should
-- know. $7 the sign is written only when the last one is older than this many seconds (an idle worker asks more often
-- than it must write). $8 the session lock it holds, or null.
-- Returns whether it is on record, whether it is to drain, which of its running messages are to be cancelled,
-- whether it holds claims that it was never told of, whether another worker may be gone: then a rescue is due; and
-- whether messages may wait for others: the size of those tables says it at once, however many dead rows they have. A
-- worker that was declared gone while it could not reach the server is alive again by this.
-- Locks: the worker's row, never waiting for it: while another session has it locked, no rescue can declare the worker
-- gone either.
with mine as materialized (
    select worker_id
      from postmill.workers
     where worker_id = $1::uuid
       and (last_heartbeat_at < clock_timestamp() - $7::double precision * interval '1 second'
            or in_flight <> $2::integer or lock_free_at is not null or stopped_at is not null
            or lock_key is distinct from $8::bigint)
       for update skip locked
),
alive as (
    update postmill.workers
       set last_heartbeat_at = clock_timestamp(), lock_free_at = null, in_flight = $2::integer,
           stopped_at = null, stop_reason = null, lock_key = $8::bigint
     where worker_id = any (array(select worker_id from mine))
)
select exists (select from postmill.workers where worker_id = $1::uuid) as known,
       exists (select from postmill.workers where worker_id = $1::uuid and deprecated_at is not null) as deprecated,
       array(select msg_id from postmill.cancellations
              where queue_name = $3::text and cancelled_at is null and msg_id = any ($4::bigint[])) as cancelled,
       exists (select from postmill.claims
                where worker_id = $1::uuid and claim_id <> all ($5::bigint[])
                  and claimed_at < clock_timestamp() - $6::double precision * interval '1 second') as forgotten,
       exists (select from postmill.workers as other
                where other.stopped_at is null and other.worker_id <> $1::uuid
                  and (other.last_heartbeat_at < clock_timestamp() - postmill._silent_after(other.lease)
                       or (other.lock_key is not null
                           and other.lock_key not in (select postmill._held_locks())))) as in_doubt,
       pg_relation_size('postmill.edges') > 0 or pg_relation_size('postmill.blocked') > 0
           or pg_relation_size('postmill.ended') > 0 as dependents
