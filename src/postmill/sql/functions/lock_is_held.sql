-- Whether any session of this database holds the session advisory lock of a worker.
-- Called by: postmill.rescue. Lock order: none. Errors: none.
create or replace function postmill.lock_is_held(lock_key bigint)
returns boolean
language sql
stable
set search_path = ''
as $$
    select exists (
        select from pg_catalog.pg_locks as l
         where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
           and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
           and l.classid::bigint = (lock_key >> 32) & 4294967295
           and l.objid::bigint = lock_key & 4294967295);
$$;
