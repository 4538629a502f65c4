-- The logins of the processes that run commands now.
-- Called by sweep_commands. Takes no locks. Errors: none.
create or replace function postmill._runners() returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select distinct session.usename::text
      from pg_catalog.pg_stat_activity as session
     where session.pid in (select postmill._locked_by(postmill._runners_lock()));
$$;
