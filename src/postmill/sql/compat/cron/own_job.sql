-- The jobs that the caller may change: the user's own; all, for the schema's owner and for superusers. The check option
-- keeps a job from being made into a schedule of messages.
create or replace view cron.own_job with (security_barrier) as
select s.schedule_id, s.name, s.job_name, s.recurrence, s.timezone, s.target, s.run_as, s.overlap, s.catch_up, s.jitter,
       s.paused_at, s.paused_by, s.changed_at, s.next_at, s.problem
  from postmill.schedules as s
 where s.run_as is not null
   and (s.run_as = current_user
        or pg_has_role((select n.nspowner from pg_namespace as n where n.nspname = 'postmill'), 'usage'))
  with check option;
alter view cron.own_job alter column timezone set default 'GMT';
alter view cron.own_job alter column overlap set default 'queue';
alter view cron.own_job alter column catch_up set default 'none';
alter view cron.own_job alter column jitter set default '0';
alter view cron.own_job alter column changed_at set default clock_timestamp();
-- A right to write the whole view, or to delete from it, would let every user lock the tables behind it. So rights are
-- given on columns, and jobs are removed through a view of its own. No user says what ticks of the past are caught up:
-- from 1970 on they would keep every scheduler busy.
revoke all on cron.own_job from public;
revoke insert (timezone, overlap, catch_up, jitter, changed_at) on cron.own_job from public;
grant select,
      insert (name, job_name, recurrence, target, run_as, paused_at),
      update (name, recurrence, target, paused_at, changed_at, next_at, problem)
    on cron.own_job to public;
comment on view cron.own_job is 'Facade cron of Postmill: the jobs that the caller may change.';
