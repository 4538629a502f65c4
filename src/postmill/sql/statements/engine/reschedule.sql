-- Put messages back for later: after a failed attempt (with its record), a snooze, or because the worker gives them up.
-- Called by: engine settler. $1 ids (ascending), $2 receipts to close, $3 receipts that lose these ids, $4 the ids' read_ct, $5 their vt
-- (µs since 1970), $6 seconds until due again, $7 queue, $8 worker; and for failed attempts, null otherwise: $9 attempt, $10 kind, $11 error type,
-- $12 error message, $13 traceback, $14 seconds it ran.
-- A record that a trigger keeps out in silence is an error (22P02): an attempt that leaves no record is not counted, and has no end.
-- read_ct is never lowered: two holders could share a token. Returns the ids it really rescheduled. Lock order: queue rows by msg_id,
-- postmill.claims by claim_id, postmill.failures.
-- `any (array[...])`, not `=`: with an equality the planner may walk through the whole index in order of id instead, which looks
-- cheap to it when an analyse found the table all but empty.
with token as (
    select *
      from unnest($1::bigint[], $4::integer[], $5::bigint[], $6::double precision[], $9::integer[], $10::text[], $11::text[],
                  $12::text[], $13::text[], $14::double precision[])
        as t (msg_id, read_ct, vt_us, delay_s, attempt, kind, error_type, error_message, traceback, ran_s)
),
back as (
    update {queue} as q
       set vt = clock_timestamp() + token.delay_s * interval '1 second'
      from token
     where q.msg_id = any (array[token.msg_id]) and q.read_ct = token.read_ct
       and q.vt is not distinct from timestamptz 'epoch' + token.vt_us * interval '1 microsecond'
    returning q.msg_id, token.attempt, token.kind, token.error_type, token.error_message, token.traceback, token.ran_s
),
--+ settled_receipts
recorded as (
    insert into postmill.failures
           (queue_name, msg_id, attempt, worker_id, kind, error_type, error_message, traceback, started_at)
    select $7::text, msg_id, attempt, $8::uuid, kind, error_type, error_message, traceback,
           clock_timestamp() - ran_s * interval '1 second'
      from back
     where kind is not null
    returning msg_id
)
select coalesce(array_agg(msg_id), '{}') as settled,
       case when (select count(*) from recorded) < count(kind) then
           format('%s, written to postmill.failures: a trigger keeps them out', count(kind))::integer
       end as kept_out
  from back
