-- Moves at most $1 messages that were archived since $2 from an archive of this database into that of a queue, and
-- returns how many. Each has a new id, the queue's next; its old one is in the header `imported`.
-- Called by postmill import pgmq-archive. Locks: the rows that are moved, skipping locked ones. Errors: those of the
-- tables.
with picked as materialized (
    select done.msg_id from {source} as done where done.archived_at >= $2::timestamptz
    order by done.msg_id limit $1::integer for update skip locked
), taken as (
    delete from {source} as done using picked
    where done.msg_id = picked.msg_id and done.archived_at >= $2::timestamptz
    returning done.*
), moved as (
    insert into {archive} (
        msg_id, read_ct, enqueued_at, archived_at, vt, message
        , headers --? keeps_headers
        , last_read_at --? keeps_last_read
    )
    select nextval('{sequence}'), read_ct, enqueued_at, archived_at, vt, message
           , case when coalesce(jsonb_typeof(headers), 'null') in ('object', 'null') --? moves_headers
                  then coalesce(nullif(headers, 'null'), '{}') || origin.header else headers end --? moves_headers
           , origin.header --? only_origin
           , last_read_at --? moves_last_read
           , null --? no_last_read
    from taken
    cross join lateral (
        select jsonb_build_object('imported', jsonb_build_object('from', $3::text, 'msg_id', taken.msg_id)) as header
    ) as origin
    order by taken.msg_id
    returning 1
)
select count(*) as written from moved
