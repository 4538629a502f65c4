-- Push the leases of everything a worker holds in one queue into the future.
-- Called by: engine heartbeat. $1 ids (ascending), $2 their read_ct, $3 their vt (µs since 1970), $4 the lease.
-- Returns each id with its new vt, or null with `held` = true (locked by a settlement at this moment: left alone) or false (the lease
-- is lost). Lock order: queue rows in the order of $1, skipping locked ones, so it never waits for a settlement nor deadlocks with one.
-- The ids are looked up one by one: joined and then ordered, with sorting switched off, they cost a walk through the whole queue.
with wanted as (
    select * from unnest($1::bigint[], $2::integer[], $3::bigint[]) as t (msg_id, read_ct, vt_us)
),
locked as (
    select held.msg_id
      from wanted
     cross join lateral (
           select q.msg_id
             from {queue} as q
            where q.msg_id = wanted.msg_id and q.read_ct = wanted.read_ct
              and q.vt is not distinct from timestamptz 'epoch' + wanted.vt_us * interval '1 microsecond'
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
                  and q.vt is not distinct from timestamptz 'epoch' + wanted.vt_us * interval '1 microsecond') as held
  from wanted
  left join renewed using (msg_id)
