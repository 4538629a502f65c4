-- Puts messages $3 of queue $2 of database $1 into this queue: each once, however often this is repeated.
-- Called by route move. Locks: arrivals, then the queue's inserts. Errors: undefined_table where there is no queue.
with new as (
    insert into postmill.arrivals (source, queue_name, msg_id, enqueued_at)
    select $1::text, $2::text, moved.msg_id, moved.enqueued_at
    from unnest($3::bigint[], $4::text[]::timestamptz[]) as moved (msg_id, enqueued_at)
    on conflict do nothing
    returning msg_id
), put as (
    insert into {queue} (enqueued_at, vt, message, headers)
    select moved.enqueued_at, moved.vt, moved.message, moved.headers
    from unnest($3::bigint[], $4::text[]::timestamptz[], $5::text[]::timestamptz[], $6::text[]::jsonb[],
                $7::text[]::jsonb[]) as moved (msg_id, enqueued_at, vt, message, headers)
    join new using (msg_id)
    order by moved.msg_id
    returning 1
)
select count(*) as arrived from put
