-- The latest $2 failed attempts with fingerprint $1, newest first.
-- Called by the command line. Takes no locks. Errors: none.
select queue_name as queue, msg_id, attempt, kind, error_type, error_message, traceback, started_at, failed_at,
       worker_id
  from postmill.failures
 where fingerprint = $1::text
 order by failure_id desc
 limit $2::integer
