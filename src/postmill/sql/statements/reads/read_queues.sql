-- Every queue with what is in it, or the queue $1 only; counted whole when $2, which otherwise only small ones are.
-- Called by the command line. Takes no locks. Errors: PM001 no such queue.
select
    queue_name as queue, ready, running, retrying, scheduled, waiting, dead, total,
    extract(epoch from oldest_ready_age)::float8 as oldest_ready_s,
    extract(epoch from oldest_waiting_age)::float8 as oldest_waiting_s,
    paused_at, pause_reason, workers, owned, exact
from postmill.queue_stats($1::text, $2::boolean)
