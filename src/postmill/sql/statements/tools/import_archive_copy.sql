-- Writes messages of another database's archive into that of queue $2, those that were not copied yet, and returns how
-- many. Each has a new id, the queue's next; its old one is in the header `imported`. $1: the source as marks name it,
-- $3: as people do.
-- Called by postmill import pgmq-archive. Locks: marks in the order of their keys, so that two imports wait for each
-- other and never in a ring. Errors: those of the tables.
with given as materialized (
    select * from unnest(
        $4::text[], $5::bigint[], $6::integer[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::jsonb[],
        $11::jsonb[], $12::timestamptz[]
    ) as row (key, old_id, read_ct, enqueued_at, archived_at, vt, message, headers, last_read_at)
), marked as (
    insert into postmill.imported as mark (source, key, queue_name, msg_id)
    select $1::text, fresh.key, $2::text, nextval('{sequence}')
    from (
        select given.key from given
        where (select true from postmill.imported as known where known.source = $1 and known.key = given.key) is null
        order by given.key
    ) as fresh
    on conflict do nothing
    returning mark.key, mark.msg_id
), copied as (
    insert into {archive} (
        msg_id, read_ct, enqueued_at, archived_at, vt, message
        , headers --? keeps_headers
        , last_read_at --? keeps_last_read
    )
    select marked.msg_id, given.read_ct, given.enqueued_at, given.archived_at, given.vt, given.message
           , case when coalesce(jsonb_typeof(given.headers), 'null') in ('object', 'null') --? keeps_headers
                  then coalesce(nullif(given.headers, 'null'), '{}') || jsonb_build_object( --? keeps_headers
                      'imported', jsonb_build_object('from', $3::text, 'msg_id', given.old_id)) --? keeps_headers
                  else given.headers end --? keeps_headers
           , given.last_read_at --? keeps_last_read
    from marked join given using (key)
    returning 1
)
select count(*) as written from copied
