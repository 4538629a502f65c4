-- Finish messages: out of the queue, and with the flag archive into its archive, with results also into postmill.results.
-- Called by: engine settler, and a handler's own transaction. $1 ids (ascending), $2 their read_ct, $3 their vt (µs since 1970), $4 receipts that are
-- settled to the last message with this, [$5 queue, $6 results as JSON text or null]. $1 to $3 are array literals: for a driver
-- a long list of integers is the dearest way to say the same.
-- With the flag transaction only inside the transaction that db handler_session has begun: elsewhere nothing is finished.
-- Compare-and-set on the token: returns the ids it really finished. The rows are found by $1 alone and the tokens compared afterwards,
-- through a hash (`is true` keeps it from becoming a join): a join is planned from statistics, and while an old transaction keeps
-- dead rows, an analyse that finds the table all but empty makes walking through the whole index look cheap.
-- Lock order: queue rows by msg_id, postmill.claims. Errors: none of its own.
with token as (
    select msg_id, read_ct, timestamptz 'epoch' + vt_us * interval '1 microsecond' as vt
      from unnest($1::text::bigint[], $2::text::integer[], $3::text::bigint[]) as t (msg_id, read_ct, vt_us)
),
gone as (
    delete from {queue} as q
     where q.msg_id = any ($1::text::bigint[])
       and ((q.msg_id, q.read_ct, q.vt) in (select msg_id, read_ct, vt from token)) is true
       and current_setting('postmill.transaction', true) = 'open' --? transaction
    returning q.msg_id
    , q.read_ct, q.enqueued_at, q.vt, q.message --? archive
    , q.last_read_at --? archive_last_read_at
    , q.headers --? archive_headers
),
archived as ( --? archive
    insert into {archive} --? archive
           (msg_id, read_ct, enqueued_at, vt, message --? archive
           , last_read_at --? archive_last_read_at
           , headers --? archive_headers
           ) --? archive
    select msg_id, read_ct, enqueued_at, vt, message --? archive
           , last_read_at --? archive_last_read_at
           , headers --? archive_headers
      from gone --? archive
), --? archive
kept as ( --? results
    insert into postmill.results (queue_name, msg_id, result) --? results
    select $5::text, gone.msg_id, result.value::jsonb --? results
      from gone join unnest($1::text::bigint[], $6::text[]) as result (msg_id, value) using (msg_id) --? results
     where result.value is not null --? results
    on conflict (queue_name, msg_id) --? results
        do update set result = excluded.result, completed_at = excluded.completed_at --? results
), --? results
closed as (
    delete from postmill.claims where claim_id = any ($4::bigint[])
)
select coalesce(array_agg(msg_id), '{}') as settled from gone
