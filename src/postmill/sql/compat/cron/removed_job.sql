-- What is inserted here is removed, where it is a job that the inserting user may change. That user stands in the
-- second column, whose default can't be overridden: there is no right to write it.
create or replace view cron.removed_job as
select null::bigint as schedule_id, null::name as removed_by where false;
alter view cron.removed_job alter column removed_by set default current_user;
grant insert (schedule_id) on cron.removed_job to public;
comment on view cron.removed_job is 'Facade cron of Postmill: what is inserted here is removed.';
