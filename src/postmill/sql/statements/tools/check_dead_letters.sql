-- Queues with letters that were not replayed, and how many, counted up to 1,000 a queue.
-- Called by doctor. Takes no locks. Errors: none.
select meta.queue_name as queue, count(*) as dead
from pgmq.meta as meta
cross join lateral (
    select from postmill.dead_letters as letter
    where letter.queue_name = meta.queue_name and letter.replayed_at is null
    limit 1000
) as letter
group by meta.queue_name
order by meta.queue_name
