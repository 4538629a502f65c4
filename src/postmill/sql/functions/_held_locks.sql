-- The keys of all session advisory locks that sessions of this database hold. A living worker holds that of its row
-- (workers.lock_key).
-- Called by: lock_is_held, _gone_workers, _suspect_workers and the statement worker_heartbeat. Locks: none. Errors:
-- none.
create or replace function postmill._held_locks() returns setof bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select (l.classid::bigint << 32) | l.objid::bigint
      from pg_catalog.pg_locks as l
     where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
       and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
$$;
