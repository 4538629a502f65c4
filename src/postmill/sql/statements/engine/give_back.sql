-- A worker gives back claims of its own that it no longer works on: it never learned of them (the connection was cut
-- while the claim committed), or its event loop hangs. Called by: engine heartbeat. $1 worker, $2 claims to keep, $3
-- only claims that are older than this many seconds, $4 kind of failure to record, $5 the reason. A claim with a
-- locked row is left for the next time.
-- Lock order: as postmill.return_claim, then postmill.claims.
with mine as (
    select c.claim_id, c.queue_name,
           postmill.return_claim(c.queue_name, c.worker_id, c.msg_ids, c.read_cts, c.claimed_at,
                                 $4::text, $5::text) as msg_ids
      from postmill.claims as c
     where c.worker_id = $1::uuid and c.claim_id <> all ($2::bigint[])
       and c.claimed_at < clock_timestamp() - $3::double precision * interval '1 second'
     order by c.claim_id
     limit 1000
)
delete from postmill.claims as c
 using mine
 where c.claim_id = mine.claim_id and mine.msg_ids is not null
returning mine.queue_name, mine.msg_ids
