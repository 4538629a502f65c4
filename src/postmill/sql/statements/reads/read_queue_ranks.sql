-- Names of queues, those in which most goes on first, by figures that cost next to nothing: open claims, then the pages
-- that the queue's table has. At most $2, after the first $1. Of 10,000 queues a page is found in about 50 ms; to look
-- into each of them takes seconds.
-- Called by the reads. Takes no locks. Errors: none.
select meta.queue_name as queue, coalesce(open.claims, 0) as claims, size.pages
from pgmq.meta as meta
left join (
    select claim.queue_name, count(*) as claims from postmill.claims as claim group by claim.queue_name
) as open on open.queue_name = meta.queue_name
cross join lateral (
    select postmill._pages(to_regclass(format('pgmq.%I', lower('q_' || meta.queue_name)))) as pages
) as size
where size.pages is not null
order by coalesce(open.claims, 0) desc, size.pages desc, meta.queue_name
limit $2::integer offset $1::integer
