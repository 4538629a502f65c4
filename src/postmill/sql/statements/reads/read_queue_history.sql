-- What queue $1 has done and how full it was over the time $2. Called by the reads. Takes no locks. Errors: PM001 no
-- such queue.
select
    at, started, completed, failed, dead, ran_ms, waited_ms,
    ready, running, retrying, scheduled, waiting, dead_letters
from postmill.queue_history($1::text, $2::interval)
