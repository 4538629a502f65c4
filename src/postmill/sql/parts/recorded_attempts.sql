-- How the attempts ended that a settlement is for, and their records. The CTE `ended` before it names the settled
-- messages with these columns; a null kind leaves no record (the message was not run).
-- Part of the statements reschedule and dead_letter. $6 queue, $7 worker. Lock order: postmill.failures.
recorded as (
    insert into postmill.failures
           (queue_name, msg_id, attempt, worker_id, kind, error_type, error_message, traceback, started_at)
    select $6::text, msg_id, attempt, $7::uuid, kind, error_type, error_message, traceback,
           clock_timestamp() - ran_s * interval '1 second'
      from ended
     where kind is not null
    returning msg_id
)
