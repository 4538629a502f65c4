-- The tokens of the deliveries that a settlement ends. $1 ids (ascending), $2 their read_ct, $3 their vt (µs since
-- 1970), each as the text of an array: asyncpg sends that faster than a long list of integers.
-- Part of the statements complete, reschedule, dead_letter and cancel_running, always with the part still_held.
token as (
    select msg_id, read_ct, timestamptz 'epoch' + vt_us * interval '1 microsecond' as vt
      from unnest($1::text::bigint[], $2::text::integer[], $3::text::bigint[]) as t (msg_id, read_ct, vt_us)
),
