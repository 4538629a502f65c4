-- Who keeps a message's row: the session whose transaction `locker` (the row's xmax) is still open. It has locked the
-- row, or has changed or deleted it and not committed. A row that several sessions share a lock on is not seen.
-- Called by _causes. Takes no locks. Errors: none.
create or replace function postmill._row_locker(locker text) returns table (said text, detail jsonb)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select 'its row is locked by ' || who.said, who.detail
    from pg_catalog.pg_locks as lock
    cross join lateral postmill._session(lock.pid) as who
    where locker <> '0' and lock.locktype = 'transactionid' and lock.granted and lock.transactionid::text = locker
    limit 1;
$$;
