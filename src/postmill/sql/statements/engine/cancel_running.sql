-- Take cancelled messages out of the queue once their handlers have given up.
-- Called by: engine settler. $1 to $5 as in the parts tokens and settled_claims, $6 queue. Returns the ids that it
-- really cancelled. With the flag gated their places in their groups are free with that. Lock order: queue rows by
-- msg_id, postmill.claims, gates, cancellations.
with
--+ tokens
gone as (
    delete from {queue} as q
--+ still_held
    returning $6::text as queue_name, q.msg_id, q.enqueued_at, q.message, null::text as reason
    , q.headers --? headers
    , null::jsonb as headers --? !headers
),
--+ settled_claims
--+ freed_places
--+ what_follows
noted as (
--+ cancelled_messages
)
select coalesce(array_agg(msg_id), '{}') as settled
       , (select postmill._ended($6::text, ids, headers, 'cancelled') from followed where ids is not null) --? headers
       , postmill._tell_waiters($6::text, array_agg(msg_id)) as told
  from gone
