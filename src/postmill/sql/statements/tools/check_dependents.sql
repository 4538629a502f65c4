-- Messages that wait in vain for others: of each queue the first whose source is dead or gone, for longer than $1
-- seconds, and how many of them there are, counted up to 1,000.
-- Called by doctor. Takes no locks. Errors: none.
select meta.queue_name as queue, stuck.fate, count(*) as messages, min(stuck.msg_id) as msg_id,
    (array_agg(stuck.source_queue order by stuck.msg_id))[1] as source_queue,
    (array_agg(stuck.source_id order by stuck.msg_id))[1] as source_id
from pgmq.meta as meta
cross join lateral postmill._stuck(meta.queue_name, $1::float8 * interval '1 second', 1000) as stuck
group by meta.queue_name, stuck.fate
order by meta.queue_name, stuck.fate
