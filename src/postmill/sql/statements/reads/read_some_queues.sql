-- The queues $1 with what is in them, as read_queues; one that is not there any more is left out.
-- Called by the reads. Takes no locks. Errors: none.
select
    stats.queue_name as queue, ready, running, retrying, scheduled, waiting, dead, total,
    extract(epoch from oldest_ready_age)::float8 as oldest_ready_s,
    extract(epoch from oldest_waiting_age)::float8 as oldest_waiting_s,
    paused_at, pause_reason, workers, owned, exact
from unnest($1::text[]) with ordinality as asked (name, place)
cross join lateral (
    select asked.name where postmill._has_queue(asked.name) offset 0
) as there (name)
cross join lateral postmill.queue_stats(there.name) as stats
order by asked.place
