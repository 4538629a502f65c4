-- The failures of message $2 of queue $1, oldest first, the last 100.
-- Called by the command line. Takes no locks. Errors: none.
select attempt, kind, error_type, error_message, traceback, worker_id, started_at, failed_at,
    coalesce((select log.lines from postmill.attempt_logs as log
               where log.queue_name = $1::text and log.msg_id = $2::bigint and log.attempt = failure.attempt), '{}')
        as log
from (
    select * from postmill.failed_attempts
    where queue_name = $1::text and msg_id = $2::bigint
    order by failure_id desc
    limit 100
) as failure
order by failure_id
