-- This database only: a command runs where its schedule is. Errors: feature_not_supported for another one, or for
-- another user.
create or replace function cron.schedule_in_database(
    job_name text, schedule text, command text, database text, username text default null, active boolean default true
) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform cron._check_place(database, username);
    return cron._put(job_name, schedule, command, coalesce(active, true));
end
$$;
comment on function cron.schedule_in_database is 'Facade cron of Postmill: makes a job of this database.';
