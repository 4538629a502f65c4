-- The name of the index by which workers find a queue's messages with a priority. It is short enough for every queue,
-- another one for each table, and the same after a restore. The table may not have the index.
-- Called by enable_priority, disable_priority and doctor. Takes no locks. Errors: none.
create or replace function postmill._priority_index(relation regclass) returns name
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select ('postmill_priority_' || md5(relname))::name from pg_class where oid = relation;
$$;
