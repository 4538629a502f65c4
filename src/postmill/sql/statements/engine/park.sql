-- Park messages that a lane has given though they are to wait: for a place in their group, for a place in a queue with
-- limits, or for other messages. Another client sent them with a header of ours, or has moved their vt, or a lease has
-- ended. It is no attempt: read_ct tells deliveries only.
-- A message that stands in the table blocked, and has the header still, waits there on: a release may have opened it
-- while this waited for its row. Any other loses the header that says so, and has a gate;
-- one that had nothing but that header is ready.
-- Called by: engine settler. $1 to $5 as in the parts tokens and settled_claims, $6 queue. Returns the ids that it
-- really parked. Lock order: queue rows by msg_id, postmill.claims, groups (new rows), gates. Errors: none of its own.
with
--+ tokens
blocked as materialized ( --? headers
    select msg_id from postmill.blocked --? headers
     where queue_name = lower($6::text) and msg_id = any ($1::text::bigint[]) --? headers
), --? headers
back as (
    update {queue} as q
       set vt = postmill._parked_until() --? !headers
       set vt = case when postmill._group_of(q.headers) is null --? headers
                      and (jsonb_typeof(q.headers) = 'object' and q.headers ? 'postmill-after' --? headers
                           and q.msg_id = any (array(select msg_id from blocked))) is not true --? headers
                      and (select coalesce(max_running, starts) is null from postmill.queues --? headers
                            where queue_name = $6::text) is not false --? headers
                     then clock_timestamp() else postmill._parked_until() end, --? headers
           headers = case when jsonb_typeof(q.headers) = 'object' --? headers
                           and q.msg_id <> all (array(select msg_id from blocked)) --? headers
                          then q.headers - 'postmill-after' else q.headers end --? headers
--+ still_held
    returning q.msg_id
    , coalesce(postmill._group_of(q.headers), '') as group_key, --? headers
      q.vt = postmill._parked_until() --? headers
      and (jsonb_typeof(q.headers) = 'object' and q.headers ? 'postmill-after') is not true as is_gated --? headers
    , '' as group_key, true as is_gated --? !headers
),
--+ settled_claims
grouped as (
    insert into postmill.groups (queue_name, group_key)
    select distinct lower($6::text), group_key from back where is_gated order by group_key
        on conflict do nothing
),
gate as (
    insert into postmill.gates (queue_name, group_key, rank, msg_id)
    select lower($6::text), group_key, clock_timestamp(), msg_id from back where is_gated order by msg_id
        on conflict (queue_name, msg_id)
        do update set group_key = excluded.group_key, rank = excluded.rank, claim_id = null
)
select coalesce(array_agg(msg_id), '{}') as settled
  from back
