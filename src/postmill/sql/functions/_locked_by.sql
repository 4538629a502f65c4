-- The sessions of this database that hold the session advisory lock `key`.
-- Called by _runners, join_runners and sweep_commands. Takes no locks. Errors: none.
create or replace function postmill._locked_by(key bigint) returns setof integer
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select l.pid from pg_catalog.pg_locks as l
     where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
       and (l.classid::bigint << 32) | l.objid::bigint = key
       and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database());
$$;
