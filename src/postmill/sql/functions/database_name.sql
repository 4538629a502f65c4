-- The name that this database has among several; null: it has none.
-- Called by the clients that send to several databases, and by anyone. Runs with the caller's
-- rights. Locks: none. Errors: none.
create or replace function postmill.database_name() returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select own.name from postmill.own_name as own;
$$;
