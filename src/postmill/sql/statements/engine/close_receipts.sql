-- Let go of receipts whose messages are settled elsewhere: in a handler's own transaction, or lost to another worker. A delivery that
-- was lost without an outcome is recorded, so that a message that always takes its worker down comes to an end; but once only: where the
-- receipt is gone, whoever took it has recorded the loss, or the queue was dropped, and the id may be another message's by now.
-- Called by: engine settler. $1 ids, $2 receipts to close, $3 receipts that lose these ids, $4 queue, $5 worker, $6 ids to record as
-- lost leases, $7 their attempt, $8 their receipt, [$9 results of $1 as JSON text or null]. Lock order: postmill.claims, results, failures.
with
kept as ( --? results
    insert into postmill.results (queue_name, msg_id, result) --? results
    select $4::text, msg_id, value::jsonb --? results
      from unnest($1::bigint[], $9::text[]) as result (msg_id, value) --? results
     where value is not null --? results
    on conflict (queue_name, msg_id) --? results
        do update set result = excluded.result, completed_at = excluded.completed_at --? results
), --? results
--+ settled_receipts
lost as (
    select lost.msg_id, lost.attempt, receipt.claimed_at
      from unnest($6::bigint[], $7::integer[], $8::bigint[]) as lost (msg_id, attempt, claim_id)
      join postmill.claims as receipt on receipt.claim_id = any (array[lost.claim_id]) and lost.msg_id = any (receipt.msg_ids)
)
insert into postmill.failures (queue_name, msg_id, attempt, worker_id, kind, error_message, started_at)
select $4::text, msg_id, attempt, $5::uuid, 'lost_lease', 'the lease was lost before there was an outcome', claimed_at
  from lost
