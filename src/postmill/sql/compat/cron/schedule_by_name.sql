-- Makes the caller's job of that name, or changes it. Errors: as cron._put.
create or replace function cron.schedule(job_name text, schedule text, command text) returns bigint
language sql volatile strict
set search_path = pg_catalog, pg_temp
as $$
    select cron._put(job_name, schedule, command, true);
$$;
comment on function cron.schedule(text, text, text) is
    'Facade cron of Postmill: makes the caller''s job of that name, or changes it.';
