-- Deletes a run that the caller sees, unless it is not done.
create or replace function cron._delete_run() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from postmill.schedule_runs as run
    where run.run_id = old.runid and run.ended_at is not null;
    return old;
end
$$;
revoke execute on function cron._delete_run() from public;
create or replace trigger delete_run instead of delete on cron.job_run_details
    for each row execute function cron._delete_run();
comment on function cron._delete_run is 'Facade cron of Postmill: deletes a run for cron.job_run_details.';
