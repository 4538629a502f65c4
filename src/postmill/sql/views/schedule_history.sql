-- Every run of every schedule that is still kept. `status`: sent (its message is not done), succeeded, failed,
-- cancelled, skipped, or unknown (its message is gone and nothing is kept about it). Of a SQL command: pending,
-- running, succeeded, failed, skipped, or unknown (the scheduler ended while it ran); `returned` is its command tag. Of
-- a call: sent (it has not ended), succeeded (2xx), failed, skipped, or unknown; `returned` is the answer's status. Of
-- a flow's run: sent (it has not ended), succeeded (it is completed), failed, cancelled, skipped, or unknown (deleted).
create or replace view postmill.schedule_history as
select s.name, run.tick, run.fired_at, run.status, run.queue_name, run.msg_id, run.reason, run.ended_at,
       run.started_at, run.returned, run.call_id, run.flow_run
  from postmill.schedule_runs as run
  join postmill.schedules as s using (schedule_id);
