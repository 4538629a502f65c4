-- As pg_cron's table, to be read; the owner of the schema, and whoever is granted it, tidies up: rows can be deleted.
-- Not every user, since the right to delete is one to lock what is behind the view. Old runs are deleted anyway.
create or replace view cron.job_run_details with (security_barrier) as
select run.schedule_id as jobid, run.run_id as runid, run.pid as job_pid, current_database()::text as database,
       job.run_as as username, coalesce(run.command, job.target ->> 'command') as command,
       case run.status when 'pending' then 'starting' when 'unknown' then 'failed' else run.status end as status,
       case when run.status = 'failed' and run.started_at is not null then 'ERROR:  ' || run.reason
            when run.returned = 'SELECT 1' then '1 row'
            when run.returned like 'SELECT %' then substr(run.returned, 8) || ' rows'
            else coalesce(run.reason, run.returned) end as return_message,
       run.started_at as start_time, run.ended_at as end_time
  from postmill.schedule_runs as run
  join cron.own_job as job using (schedule_id)
 where run.status <> 'skipped';
revoke all on cron.job_run_details from public;
grant select on cron.job_run_details to public;
comment on view cron.job_run_details is 'Facade cron of Postmill: as pg_cron''s table; rows can be deleted.';
