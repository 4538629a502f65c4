-- The queues $3 in numbers, for monitoring, also while no worker runs: how many messages are in which state, how long
-- the oldest ready and the oldest waiting one wait, how many workers are alive, and how many are wanted. A worker has
-- $1 slots; null: as many as the last one of the queue had, 10 where there was none. $2: seconds that may be waited.
-- Called by the command line. Takes no locks. Errors: PM003 a number that makes no sense.
select
    stats.queue_name as queue, ready, running, retrying, scheduled, waiting, dead, workers,
    coalesce(extract(epoch from oldest_ready_age), 0)::float8 as oldest_ready_s,
    coalesce(extract(epoch from oldest_waiting_age), 0)::float8 as oldest_waiting_s,
    postmill.desired_workers(stats.queue_name, coalesce($1::integer, known.slots, 10), $2::float8, max => 10000)
        as desired_workers
from unnest($3::text[]) as asked (name)
cross join lateral (
    select asked.name where postmill._has_queue(asked.name) offset 0
) as there (name)
cross join lateral postmill.queue_stats(there.name) as stats
left join lateral (
    select worker.max_concurrent as slots from postmill.workers as worker
    where worker.queue_name = stats.queue_name order by worker.started_at desc limit 1
) as known on true
order by stats.queue_name
