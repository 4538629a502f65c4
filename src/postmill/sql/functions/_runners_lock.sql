-- The key of the session lock that every process that runs commands shares.
-- Called by join_runners and _runners. Takes no locks. Errors: none.
create or replace function postmill._runners_lock() returns bigint
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select hashtextextended('postmill runs commands', 0);
$$;
