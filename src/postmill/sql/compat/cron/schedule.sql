-- Makes a job of the caller's, without a name. Errors: as cron._put.
create or replace function cron.schedule(schedule text, command text) returns bigint
language sql volatile strict
set search_path = pg_catalog, pg_temp
as $$
    select cron._put(null, schedule, command, true);
$$;
comment on function cron.schedule(text, text) is 'Facade cron of Postmill: makes a job without a name.';
