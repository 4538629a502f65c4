-- Move messages to the dead letters, with the record of the failed attempt that ended them.
-- Called by: engine settler. $1 ids (ascending), $2 receipts to close, $3 receipts that lose these ids, $4 the ids' read_ct, $5 their vt
-- (µs since 1970), $6 reason, $7 queue, $8 worker, $9 attempt, $10 kind, $11 error type, $12 error message, $13 traceback, $14 seconds it ran,
-- $15 attempts to show in the letter; and said again, when the first answer was lost, $16 when they were sent (µs since 1970): what the
-- first time has moved counts as moved, a letter of the same delivery (times are cut as the statement claim cuts them). A null kind leaves
-- no record of a failed attempt (the message was not run again).
-- What a trigger keeps out in silence is an error (22P02): the message would be nowhere.
-- Returns id and letter of what it really moved. Lock order: queue rows by msg_id, postmill.claims, failures, dead_letters.
-- `any (array[...])`, not `=`: with an equality the planner may walk through the whole index in order of id instead, which looks
-- cheap to it when an analyse found the table all but empty.
with token as (
    select *
      from unnest($1::bigint[], $4::integer[], $5::bigint[], $6::text[], $9::integer[], $10::text[], $11::text[],
                  $12::text[], $13::text[], $14::double precision[], $15::integer[])
        as t (msg_id, read_ct, vt_us, reason, attempt, kind, error_type, error_message, traceback, ran_s, attempts)
),
gone as (
    delete from {queue} as q
     using token
     where q.msg_id = any (array[token.msg_id]) and q.read_ct = token.read_ct
       and q.vt is not distinct from timestamptz 'epoch' + token.vt_us * interval '1 microsecond'
    returning q.msg_id, q.read_ct, q.enqueued_at, q.message, token.reason, token.attempt, token.kind, token.error_type,
              token.error_message, token.traceback, token.ran_s, token.attempts
    , q.headers --? headers
    , null::jsonb as headers --? !headers
),
--+ settled_receipts
recorded as (
    insert into postmill.failures
           (queue_name, msg_id, attempt, worker_id, kind, error_type, error_message, traceback, started_at)
    select $7::text, msg_id, attempt, $8::uuid, kind, error_type, error_message, traceback,
           clock_timestamp() - ran_s * interval '1 second'
      from gone
     where kind is not null
    returning msg_id
),
letter as (
    insert into postmill.dead_letters
           (queue_name, msg_id, read_ct, enqueued_at, message, headers, attempts, kind, reason, error_type, traceback)
    select $7::text, msg_id, read_ct, enqueued_at, message, headers, attempts,
           coalesce(kind, 'exhausted'), reason, error_type, traceback
      from gone
    returning letter_id, msg_id
)
select coalesce(array_agg(msg_id), '{}') as settled, coalesce(array_agg(letter_id), '{}') as letters,
       case when (select count(*) from letter) < (select count(*) from gone)
              or (select count(*) from recorded) < (select count(*) from gone where kind is not null) then
           format('%s, written to postmill.failures and dead_letters: a trigger keeps them out', (select count(*) from gone))::integer
       end as kept_out
  from letter --? !again
  from (select letter_id, msg_id from letter --? again
         union all --? again
        select earlier.letter_id, earlier.msg_id --? again
          from unnest($1::bigint[], $4::integer[], $16::bigint[]) as sent (msg_id, read_ct, enqueued_us) --? again
          join postmill.dead_letters as earlier --? again
            on earlier.queue_name = $7::text and earlier.msg_id = any (array[sent.msg_id]) --? again
           and earlier.read_ct = sent.read_ct --? again
           and (date_part('epoch', least(greatest(earlier.enqueued_at, '0001-01-02'), '9999-12-30')) * 1000000)::bigint --? again
               = sent.enqueued_us) as moved --? again
