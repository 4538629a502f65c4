-- The last recorded failure of each message, for the letters of messages that are not run again. Called by: engine settler.
-- $1 queue, $2 ids, $3 when they were sent (µs since 1970): ids start again when a queue is created again, so older failures are of
-- another message. A lost lease comes after every other kind: it tells the least. Takes no locks. Errors: none of its own.
select last.*
  from unnest($2::bigint[], $3::bigint[]) as dead (msg_id, enqueued_us)
 cross join lateral (
       select failure.msg_id, failure.error_type, failure.error_message, failure.traceback
         from postmill.failures as failure
        where failure.queue_name = $1::text and failure.msg_id = dead.msg_id
          and failure.failed_at >= timestamptz 'epoch' + dead.enqueued_us * interval '1 microsecond'
        order by failure.kind = 'lost_lease', failure.failure_id desc
        limit 1
       ) as last
