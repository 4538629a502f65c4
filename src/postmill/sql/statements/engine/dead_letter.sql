-- Move messages to the dead letters, with the record of the failed attempt that ended them. Called by: engine settler.
-- $1 to $5 as in the parts tokens and settled_claims, $6 queue, $7 worker, $8 reason, $9 attempt (of a message that was
-- not run again: how many failed before), $10 kind, $11 error type, $12 error message, $13 traceback, $14 seconds that
-- it ran; and with the flag again, when the answer to the first try was lost, $15 when the messages were sent (µs since
-- 1970): what the first try has moved counts as moved. A letter is of the same delivery when its time is the same, cut
-- as the statement claim cuts it. A null kind leaves no record of a failed attempt (the message was not run again).
-- What a trigger keeps out in silence is an error (22P02): the message would be in no table at all. Returns the ids
-- that it really moved, and tells clients that wait for them. Lock order: queue rows by msg_id, postmill.claims, gates,
-- failures, dead_letters.
with
--+ tokens
gone as (
    delete from {queue} as q
--+ still_held
    returning q.msg_id, q.read_ct, q.enqueued_at, q.message
    , q.headers --? headers
    , null::jsonb as headers --? !headers
),
ended as (
    select *
      from gone
      join unnest($1::text::bigint[], $8::text[], $9::integer[], $10::text[], $11::text[], $12::text[], $13::text[],
                  $14::double precision[])
        as t (msg_id, reason, attempt, kind, error_type, error_message, traceback, ran_s) using (msg_id)
),
--+ settled_claims
--+ freed_places
--+ what_follows
letter as (
    insert into postmill.dead_letters
           (queue_name, msg_id, read_ct, enqueued_at, message, headers, attempts, kind, reason, error_type, traceback)
    select $6::text, msg_id, read_ct, enqueued_at, message, headers, attempt,
           coalesce(kind, 'exhausted'), reason, error_type, traceback
      from ended
    returning msg_id
),
--+ recorded_attempts
select coalesce(array_agg(msg_id), '{}') as settled,
       case when (select count(*) from letter) < (select count(*) from ended)
              or (select count(*) from recorded) < (select count(kind) from ended) then
           format('%s, written to postmill.failures and dead_letters: a trigger keeps them out',
                  (select count(*) from ended))::integer
       end as kept_out
       , (select postmill._ended($6::text, ids, headers, 'dead') from followed where ids is not null) --? headers
       , postmill._tell_waiters($6::text, array_agg(msg_id)) as told
  from letter --? !again
  from (select msg_id from letter --? again
         union all --? again
        select sent.msg_id --? again
          from unnest($1::text::bigint[], $2::text::integer[], $15::bigint[]) --? again
            as sent (msg_id, read_ct, enqueued_us) --? again
         cross join lateral ( --? again
               select read_ct, enqueued_at from postmill.dead_letters --? again
                where replayed_at is null and queue_name = $6::text and msg_id = any (array[sent.msg_id]) --? again
                union all --? again
               select read_ct, enqueued_at from postmill.dead_letters --? again
                where replayed_at is not null and queue_name = $6::text and msg_id = any (array[sent.msg_id]) --? again
               ) as earlier --? again
         where earlier.read_ct = sent.read_ct --? again
           and (date_part('epoch', least(greatest(earlier.enqueued_at, '0001-01-02'), '9999-12-30')) --? again
                * 1000000)::bigint = sent.enqueued_us) as moved --? again
