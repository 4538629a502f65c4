-- The completion of messages that are deleted, as it was before messages had groups and dependents. PINNED, as
-- bench_before_claim.
-- $1 ids, $2 their read_ct, $3 their vt (µs since 1970), each as the text of an array, $4 claims that end. Called by
-- postmill.bench. Lock order: queue rows by msg_id, postmill.claims.
with
token as (
    select msg_id, read_ct, timestamptz 'epoch' + vt_us * interval '1 microsecond' as vt
      from unnest($1::text::bigint[], $2::text::integer[], $3::text::bigint[]) as t (msg_id, read_ct, vt_us)
),
gone as (
    delete from {queue} as q
     where q.msg_id = any ($1::text::bigint[])
       and ((q.msg_id, q.read_ct, q.vt) in (select msg_id, read_ct, vt from token)) is true
    returning q.msg_id
),
closed as (
    delete from postmill.claims where claim_id = any ($4::bigint[])
)
select coalesce(array_agg(msg_id), '{}') as settled from gone
