-- As pg_cron's table, to be read.
create or replace view cron.job with (security_barrier) as
select job.schedule_id as jobid, job.recurrence as schedule, job.target ->> 'command' as command,
       'localhost'::text as nodename, coalesce(inet_server_port(), current_setting('port')::integer) as nodeport,
       current_database()::text as database, job.run_as as username, job.paused_at is null as active,
       job.job_name as jobname
  from cron.own_job as job;
grant select on cron.job to public;
comment on view cron.job is 'Facade cron of Postmill: as pg_cron''s table, to be read.';
