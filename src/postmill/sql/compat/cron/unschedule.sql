-- Removes the caller's job. Errors: undefined_object.
create or replace function cron.unschedule(job_id bigint) returns boolean
language plpgsql volatile strict
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into cron.removed_job (schedule_id) values (job_id);
    if not found then
        raise exception 'there is no job % of yours', job_id
            using errcode = 'undefined_object', hint = 'select * from cron.job';
    end if;
    return true;
end
$$;
comment on function cron.unschedule(bigint) is 'Facade cron of Postmill: removes the caller''s job.';
