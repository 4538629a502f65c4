-- Queues in which a message has a place in its group under a claim that is not there any more, and how many such
-- places the first 1,000 that are taken hold.
-- Called by doctor. Takes no locks. Errors: none.
select meta.queue_name as queue, count(*) as places
from pgmq.meta as meta
cross join lateral (
    select gate.claim_id from postmill.gates as gate
    where gate.queue_name = lower(meta.queue_name) and gate.claim_id is not null
    limit 1000
) as taken
where not exists (select from postmill.claims as claim where claim.claim_id = taken.claim_id)
group by meta.queue_name
order by meta.queue_name
