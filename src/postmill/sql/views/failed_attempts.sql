-- One row a failed attempt.
create or replace view postmill.failed_attempts as
select
    failure_id, queue_name, msg_id, attempt, worker_id, kind, error_type, error_message, traceback, started_at,
    failed_at
from postmill.failures;
