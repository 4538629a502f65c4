-- Put messages back for later: after a failed attempt (with its record), a snooze, or because the worker gives them up.
-- Called by: engine settler. $1 ids (ascending), $2 their read_ct, $3 their vt (µs since 1970), $4 seconds until due again, $5 queue, $6 worker,
-- $7 receipts to close, $8 receipts that lose these ids; and for failed attempts, null otherwise: $9 attempt, $10 kind, $11 error type,
-- $12 error message, $13 traceback, $14 seconds it ran.
-- read_ct is never lowered: two holders could share a token. Returns the ids it really rescheduled. Lock order: queue rows by msg_id,
-- postmill.claims by claim_id, postmill.failures.
-- `any (array[...])`, not `=`: with an equality the planner may walk through the whole index in order of id instead, which looks
-- cheap to it when an analyse found the table all but empty.
with token as (
    select *
      from unnest($1::bigint[], $2::integer[], $3::bigint[], $4::double precision[], $9::integer[], $10::text[], $11::text[],
                  $12::text[], $13::text[], $14::double precision[])
        as t (msg_id, read_ct, vt_us, delay_s, attempt, kind, error_type, error_message, traceback, ran_s)
),
back as (
    update {queue} as q
       set vt = clock_timestamp() + token.delay_s * interval '1 second'
      from token
     where q.msg_id = any (array[token.msg_id]) and q.read_ct = token.read_ct
       and q.vt is not distinct from timestamptz 'epoch' + token.vt_us * interval '1 microsecond'
    returning q.msg_id
),
closed as (
    delete from postmill.claims where claim_id = any ($7::bigint[])
),
trimmed as (
    update postmill.claims as c
       set (msg_ids, read_cts) = (
           select coalesce(array_agg(i), '{}'), coalesce(array_agg(r), '{}')
             from unnest(c.msg_ids, c.read_cts) as held (i, r)
            where i <> all ($1::bigint[]))
     where c.claim_id = any ($8::bigint[])
),
recorded as (
    insert into postmill.failures
           (queue_name, msg_id, attempt, worker_id, kind, error_type, error_message, traceback, started_at)
    select $5::text, token.msg_id, token.attempt, $6::uuid, token.kind, token.error_type, token.error_message, token.traceback,
           clock_timestamp() - token.ran_s * interval '1 second'
      from token join back using (msg_id)
     where token.kind is not null
)
select coalesce(array_agg(msg_id), '{}') as settled from back
