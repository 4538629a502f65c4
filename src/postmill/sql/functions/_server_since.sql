-- Since when this server takes statements: its start, or later the end of a crash recovery or of its time as a
-- standby, where the role may see that (pg_read_all_stats): the WAL writer starts then.
-- Called by: postmill.rescue. Locks: none. Errors: none.
create or replace function postmill._server_since() returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select greatest(
        pg_catalog.pg_postmaster_start_time(),
        (select max(a.backend_start) from pg_catalog.pg_stat_activity as a where a.backend_type = 'walwriter'))
$$;
