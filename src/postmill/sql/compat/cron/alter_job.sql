-- Changes the caller's job; null leaves a thing as it is. Errors: undefined_object, invalid_parameter_value,
-- feature_not_supported, insufficient_privilege.
create or replace function cron.alter_job(
    job_id bigint, schedule text default null, command text default null, database text default null,
    username text default null, active boolean default null
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform cron._check_place(database, username);
    if alter_job.schedule is not null then
        perform cron._check(alter_job.schedule);
    end if;
    update cron.own_job as job
       set recurrence = coalesce(trim(alter_job.schedule), job.recurrence),
           target = case when alter_job.command is null then job.target
                         else jsonb_build_object('command', alter_job.command) end,
           paused_at = case when alter_job.active then null
                            when not alter_job.active then coalesce(job.paused_at, clock_timestamp())
                            else job.paused_at end,
           changed_at = clock_timestamp(), problem = null,
           next_at = case when coalesce(trim(alter_job.schedule), job.recurrence) = job.recurrence
                               and (job.paused_at is null or alter_job.active is not true) then job.next_at end
     where job.schedule_id = job_id;
    if not found then
        raise exception 'there is no job % of yours', job_id
            using errcode = 'undefined_object', hint = 'select * from cron.job';
    end if;
end
$$;
comment on function cron.alter_job is 'Facade cron of Postmill: changes the caller''s job.';
