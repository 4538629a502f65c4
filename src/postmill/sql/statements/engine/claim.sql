-- Take due messages from one lane of a queue, and write down one claim for them.
-- Called by: engine claimer, with one of the flags fast, due, late, band.
--   fast: ids above $1, in order.   due: vt after $1 among ids up to $8, in order of vt.   late: ids above $1 up to $8.
--   band: messages whose priority is $9, in order of vt and id after ($1, $8). `last_vt` and `last_id`: the last one
--   taken; null when it is due since the last millennium, of which Python may have no date. All of the index's
--   columns are compared and sorted by, so that no other index fits.
--   patrol, together with late: asks as well what the other lanes can't know of.
-- $2 messages at most, $3 the lease, $4 the worker, $5 the queue, $6 bytes: no further message is taken once the
-- stored messages taken have this size, $7 the history that the worker's cursor belongs to (see cursor_hint_read): in
-- another one nothing is taken, and `known` is false. One row of arrays: decoding it costs a fraction of a row a
-- message. One vt for the whole claim, from the statement's one clock. Rows are written by ctid, so dead versions cost
-- nothing; a partitioned queue's ctids are ambiguous: there by id.
-- `complete`: all that was due in the lane is taken, except rows that another session has locked (never so while the
-- queue is paused or not the known one: then nothing is taken).
-- `alive`: a message is in the range. Of a patrol `oldest_vt`: since when the first of those taken was due; `locked`:
-- the first message that is due for half a minute and can't be taken, because a transaction has locked it; `took_s`:
-- what the server spent.
-- `enqueued_us` is cut to what Python has a date for: another client may have written any time, infinity too. Since
-- such a time or one to come says nothing of when the message came, all failures of its id count then.
-- Failures of an older message with the same id (the queue was dropped and created again) don't count; a lost lease
-- may be recorded long after it began, when the newer message is there already.
-- For a row that makes the whole statement fail: `unread` leaves payloads and headers where they are, `front` takes
-- nothing and tells the id that would be taken, left_out (of the fast lane), left_out_band, left_out_behind (of the
-- others) and left_out_patrol (of a patrol too) pass by these ids.
-- Lock order: queue rows (skipping locked ones), then postmill.claims. Errors: none of its own.
with clock as materialized (
    select clock_timestamp() as now, $7::text =
--+ cursor_history
           as known,
           not exists (select from postmill.queues where queue_name = $5::text and paused_at is not null) as open
),
candidate as materialized (
    select at, msg_id
           , vt --? patrol
           , vt --? band
           , sum(stored) over (rows unbounded preceding) - stored as bytes_before
      from (select ctid as at, msg_id
                   , vt --? patrol
                   , vt --? band
                   , coalesce(pg_column_size(message), 0) as stored
              from {queue}
             where msg_id > $1::bigint --? fast
             where vt > $1::timestamptz and msg_id <= $8::bigint --? due
             where msg_id > $1::bigint and msg_id <= $8::bigint --? late
             where headers ? 'postmill-priority' --? band
               and (left(headers ->> 'postmill-priority', 1) collate "C", vt, msg_id) --? band
                   > ($9::text, $1::timestamptz, $8::bigint) --? band
               and (left(headers ->> 'postmill-priority', 1) collate "C", vt, msg_id) --? band
                   <= ($9::text, (select now from clock), 9223372036854775807) --? band
               and vt <= (select now from clock)
               and (select open and known from clock)
               and msg_id <> all ($8::bigint[]) --? left_out
               and msg_id <> all ($9::bigint[]) --? left_out_behind
               and msg_id <> all ($10::bigint[]) --? left_out_band
             order by msg_id --? fast
             order by msg_id --? late
             order by vt --? due
             order by left(headers ->> 'postmill-priority', 1) collate "C", vt, msg_id --? band
             limit $2::integer
               for update skip locked) as lane
),
last as ( --? band
    select vt, max(msg_id) as msg_id from candidate --? band
     where bytes_before < $6::bigint --? band
       and vt = (select max(vt) from candidate where bytes_before < $6::bigint) --? band
     group by vt --? band
), --? band
claimed as (
    update {queue} as q
       set vt = (select now from clock) + $3::interval,
           last_read_at = (select now from clock), --? last_read_at
           read_ct = least(q.read_ct, 2147483646) + 1
     where q.ctid = any (array(select at from candidate where bytes_before < $6::bigint)) --? !partitioned
     where q.msg_id = any (array(select msg_id from candidate where bytes_before < $6::bigint)) --? partitioned
       and false --? front
    returning q.msg_id, q.read_ct, q.vt, q.enqueued_at, q.message,
              case when q.enqueued_at <= (select now from clock) then q.enqueued_at else '-infinity' end as since
              , q.headers --? headers
              , null::jsonb as headers --? !headers
),
claim as (
    insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)
    select $4::uuid, $5::text, array_agg(msg_id), array_agg(read_ct)
      from claimed
    having count(*) > 0
    returning claim_id
)
select (select claim_id from claim) as claim_id,
       (select now from clock) as now,
       (select known from clock) as known,
       (select open and known from clock)
       and count(*) = (select count(*) from candidate) and count(*) < $2::integer as complete,
       exists (select from {queue} where msg_id > $1::bigint and msg_id <= $8::bigint) as alive, --? late
       (select greatest(min(vt), '2000-01-01') from candidate where bytes_before < $6::bigint) as oldest_vt, --? patrol
       (select min(msg_id) from ((select msg_id from {queue} --? patrol
                                   where msg_id > $1::bigint and msg_id <= $8::bigint --? patrol
                                     and vt <= (select now from clock) - interval '30 seconds' --? patrol
                                     and msg_id <> all ($9::bigint[]) --? left_out_patrol
                                   order by msg_id limit $2::integer + 1) --? patrol
                                  except select msg_id from candidate) as old) as locked, --? patrol
       extract(epoch from clock_timestamp() - (select now from clock))::double precision as took_s, --? patrol
       (select case when vt >= '2000-01-01' then vt end from last) as last_vt, --? band
       (select msg_id from last) as last_id, --? band
       (extract(epoch from max(vt)) * 1000000)::bigint as vt_us,
       array_agg(msg_id) as msg_ids,
       array_agg(read_ct) as read_cts,
       array_agg((date_part('epoch', least(greatest(enqueued_at, '0001-01-02'), '9999-12-30')) * 1000000)::bigint)
       as enqueued_us,
       (select min(msg_id) from candidate) as front, --? front
       array_agg(coalesce(message::text, 'null')) as messages, --? !unread
       case when count(headers) > 0 then array_agg(headers::text) end as headers, --? !unread
       array_agg('null'::text) as messages, null::text[] as headers, --? unread
--+ counted_failures
  from claimed
