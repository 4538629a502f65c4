-- Whether any session of this database holds the session advisory lock of a worker.
-- Called by people and tests. Locks: none. Errors: none.
create or replace function postmill.lock_is_held(lock_key bigint)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select lock_key in (select postmill._held_locks());
$$;
