-- The last recorded failure of each message, for the letters of messages that are not run again. Called by: engine
-- settler.
-- $1 queue, $2 ids, $3 when they were sent (µs since 1970): ids start again when a queue is created again, so older
-- failures are of another message (but a time to come says nothing of that). A lost lease comes after every other
-- kind: it tells the least. Takes no locks. Errors: none of its own.
select last.*
  from (select msg_id, timestamptz 'epoch' + enqueued_us * interval '1 microsecond' as sent_at
          from unnest($2::bigint[], $3::bigint[]) as t (msg_id, enqueued_us)) as dead
 cross join lateral (
       select failure.msg_id, failure.error_type, failure.error_message, failure.traceback
         from postmill.failures as failure
        where failure.queue_name = $1::text and failure.msg_id = dead.msg_id
          and failure.failed_at >= case when dead.sent_at <= clock_timestamp() then dead.sent_at else '-infinity' end
        order by failure.kind = 'lost_lease', failure.failure_id desc
        limit 1
       ) as last
