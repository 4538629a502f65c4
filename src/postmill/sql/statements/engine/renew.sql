-- Push the leases of everything a worker holds in one queue into the future.
-- Called by: engine renewer. $1 ids (ascending), $2 their read_ct, $3 their vt (µs since 1970), $4 the lease, $5 for
-- messages whose last renewal got no answer, their claim; null for all others.
-- Where the answer was lost, that renewal may have moved vt. Such a row is still ours when our claim lists the
-- message: every statement that ends a lease takes the message off its claim in the same transaction. vt then lies
-- between the one we know and the end of a new lease.
-- Returns each id with its new vt, or null with `held` = true (locked by a settlement at this moment: left alone) or
-- false (the lease is lost). Lock order: queue rows in the order of $1, skipping locked ones, so it never waits for a
-- settlement nor deadlocks with one. The ids are looked up one by one: joined and then ordered, with sorting switched
-- off, they cost a walk through the whole queue.
with wanted as (
    select t.msg_id, t.read_ct, timestamptz 'epoch' + t.vt_us * interval '1 microsecond' as vt,
           case when t.claim_id is not null
                 and exists (select from postmill.claims as c
                              where c.claim_id = t.claim_id and t.msg_id = any (c.msg_ids))
                then clock_timestamp() + $4::interval end as vt_at_most
      from unnest($1::bigint[], $2::integer[], $3::bigint[], $5::bigint[]) as t (msg_id, read_ct, vt_us, claim_id)
),
locked as (
    select held.msg_id
      from wanted
     cross join lateral (
           select q.msg_id
             from {queue} as q
            where q.msg_id = wanted.msg_id and q.read_ct = wanted.read_ct
              and (q.vt is not distinct from wanted.vt or (q.vt > wanted.vt and q.vt <= wanted.vt_at_most))
              for update skip locked
           ) as held
),
renewed as (
    update {queue} as q
       set vt = (select clock_timestamp()) + $4::interval
     where q.msg_id = any (array(select msg_id from locked))
    returning q.msg_id, q.vt
)
select wanted.msg_id, (extract(epoch from renewed.vt) * 1000000)::bigint as vt_us,
       exists (select from {queue} as q
                where q.msg_id = wanted.msg_id and q.read_ct = wanted.read_ct
                  and (q.vt is not distinct from wanted.vt or (q.vt > wanted.vt and q.vt <= wanted.vt_at_most))) as held
  from wanted
  left join renewed using (msg_id)
