-- Removes a job for cron.removed_job. SECURITY DEFINER: a right to delete is one to lock, see own_job. The owner of the
-- schema may drop the function of the job too.
create or replace function cron._remove_job() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from postmill.schedules as s
    where s.schedule_id = new.schedule_id and s.run_as is not null
      and (s.run_as = new.removed_by
           or pg_has_role(new.removed_by, (select n.nspowner from pg_namespace as n where n.nspname = 'postmill'),
                          'usage'));
    return case when found then new end;
end
$$;
revoke execute on function cron._remove_job() from public;
create or replace trigger remove_job instead of insert on cron.removed_job
    for each row execute function cron._remove_job();
comment on function cron._remove_job is 'Facade cron of Postmill: removes a job for cron.removed_job.';
