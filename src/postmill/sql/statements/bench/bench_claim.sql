-- The raw limit's claim: the fast lane without a row in postmill.claims, lanes or byte bound. PINNED: `postmill bench`
-- measures the worker against it, so it changes only when there is a faster claim with the same effect.
-- $1 claim ids above this one, $2 at most so many. Called by postmill.bench. Locks: the rows it claims, skipping
-- locked ones.
update {queue} as q
set
    vt = clock_timestamp() + interval '30 seconds',
    last_read_at = clock_timestamp(),  --? last_read_at
    read_ct = q.read_ct + 1
where q.ctid = any (array(
    select ctid
    from {queue}
    where msg_id > $1::bigint and vt <= (select clock_timestamp())
    order by msg_id
    limit $2::integer
    for update skip locked
))
returning q.msg_id, q.read_ct, q.enqueued_at, q.vt, q.message
