-- Let go of claims whose messages are settled elsewhere: in a handler's own transaction, or lost to another worker. A
-- delivery that was lost without an outcome is recorded, so that a message that always takes its worker down comes to
-- an end. It is recorded once only: where the claim is gone, the worker that took it has recorded the loss, or the
-- queue was dropped, and the id may be another message's by now.
-- With the flag gated a place that a lost message still has in its group is free with that.
-- Called by: engine settler. $1 ids (the text of an array), $2 queue, $3 worker, $4 and $5 as in the part
-- settled_claims, $6 ids to record as lost leases, $7 their attempt, $8 the claims that they were of, [$9 results of
-- $1 as JSON text or null].
-- Lock order: postmill.claims, gates, results, failures. Errors: none of its own.
with token as (
    select unnest($1::text::bigint[]) as msg_id
),
kept as ( --? results
    insert into postmill.results (queue_name, msg_id, result) --? results
    select $2::text, msg_id, value::jsonb --? results
      from unnest($1::text::bigint[], $9::text[]) as result (msg_id, value) --? results
     where value is not null --? results
    on conflict (queue_name, msg_id) --? results
        do update set result = excluded.result, completed_at = excluded.completed_at --? results
    returning case when exists (select from postmill.waiters where queue_name = $2::text) then --? results
                  postmill._tell_waiters($2::text, array[msg_id]) end --? results
), --? results
--+ settled_claims
freed as ( --? gated
    update postmill.gates as gate set claim_id = null, rank = clock_timestamp() --? gated
     where gate.queue_name = lower($2::text) and gate.msg_id = any (array(select msg_id from token)) --? gated
       and gate.msg_id between (select min(msg_id) from token) and (select max(msg_id) from token) --? gated
       and gate.claim_id = any ($4::bigint[] || $5::bigint[]) --? gated
), --? gated
lost as (
    select lost.msg_id, lost.attempt, claim.claimed_at
      from unnest($6::bigint[], $7::integer[], $8::bigint[]) as lost (msg_id, attempt, claim_id)
      join postmill.claims as claim
        on claim.claim_id = any (array[lost.claim_id]) and lost.msg_id = any (claim.msg_ids)
)
insert into postmill.failures (queue_name, msg_id, attempt, worker_id, kind, error_message, started_at)
select $2::text, msg_id, attempt, $3::uuid, 'lost_lease', 'the lease was lost before there was an outcome', claimed_at
  from lost
