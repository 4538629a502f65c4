-- Locks messages of a queue together with those that messages sent in this transaction wait for, in order, if any were
-- sent: at commit they would be locked after them, and two such transactions could wait for each other. Always true.
-- Called by the statement complete inside a handler's transaction. Locks as _lock_sources. Errors: those of the tables.
create or replace function postmill._lock_with_sources(queue text, ids bigint[]) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if coalesce(current_setting('postmill.edges', true), '') <> '' then
        perform postmill._lock_sources(queue, ids);
    end if;
    return true;
end
$$;
