-- The latest failed attempts of all queues, newest first, at most $1.
-- Called by the command line (top). Takes no locks. Errors: none.
select failed_at, queue_name as queue, msg_id, attempt, kind, error_type, error_message
from postmill.failed_attempts
order by failure_id desc
limit $1::integer
