-- The pattern as it is published in places. It is no valid SQL: a message has no column "processed". Its runs fail, and
-- say so: select status, return_message from cron.job_run_details
select cron.schedule('consume-as-published', '30 seconds',
  $$SELECT pgmq.delete('my_tasks', msg_id)
    FROM pgmq.read('my_tasks', 30, 5) WHERE processed = true$$
);
