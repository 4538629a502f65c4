-- Take cancelled messages out of the queue once their handlers have given up.
-- Called by: engine settler. $1 ids (ascending), $2 receipts to close, $3 receipts that lose these ids, $4 the ids' read_ct, $5 their vt
-- (µs since 1970), $6 queue. Returns the ids it really cancelled. Lock order: queue rows by msg_id, postmill.claims, cancellations.
-- `any (array[...])`, not `=`: with an equality the planner may walk through the whole index in order of id instead, which looks
-- cheap to it when an analyse found the table all but empty.
with token as (
    select * from unnest($1::bigint[], $4::integer[], $5::bigint[]) as t (msg_id, read_ct, vt_us)
),
gone as (
    delete from {queue} as q
     using token
     where q.msg_id = any (array[token.msg_id]) and q.read_ct = token.read_ct
       and q.vt is not distinct from timestamptz 'epoch' + token.vt_us * interval '1 microsecond'
    returning q.msg_id, q.enqueued_at, q.message
    , q.headers --? headers
    , null::jsonb as headers --? !headers
),
--+ settled_receipts
noted as (
    insert into postmill.cancellations (queue_name, msg_id, cancelled_at, message, headers, enqueued_at)
    select $6::text, msg_id, clock_timestamp(), message, headers, enqueued_at
      from gone
    on conflict (queue_name, msg_id) do update
       set cancelled_at = excluded.cancelled_at, message = excluded.message,
           headers = excluded.headers, enqueued_at = excluded.enqueued_at
)
select coalesce(array_agg(msg_id), '{}') as settled from gone
