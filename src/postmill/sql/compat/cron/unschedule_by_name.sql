-- Removes the caller's job of that name. Errors: undefined_object.
create or replace function cron.unschedule(job_name text) returns boolean
language plpgsql volatile strict
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into cron.removed_job (schedule_id)
    select job.schedule_id from cron.own_job as job
    where job.job_name = unschedule.job_name and job.run_as = current_user;
    if not found then
        raise exception 'there is no job % of yours', quote_literal(job_name)
            using errcode = 'undefined_object', hint = 'select * from cron.job';
    end if;
    return true;
end
$$;
comment on function cron.unschedule(text) is 'Facade cron of Postmill: removes the caller''s job of that name.';
