-- The latest failed attempts at messages of all queues, newest first, at most $1.
-- Called by the command line (top). Takes no locks. Errors: none.
select failed_at, failure.queue_name as queue, msg_id, attempt, kind, error_type, error_message
from pgmq.meta as meta
cross join lateral (
    select *
    from postmill.failed_attempts as attempt
    where attempt.queue_name = meta.queue_name
    order by attempt.failure_id desc
    limit $1::integer
) as failure
order by failure_id desc
limit $1::integer
