-- Who keeps a queue's table from being claimed from: sessions that hold a lock on the whole table, or that wait for one
-- that shuts everybody out, since all others wait behind them. `shuts`: reading waits as well.
-- Called by _causes. Takes no locks. Errors: none.
create or replace function postmill._table_lockers(relation regclass)
returns table (shuts boolean, said text, detail jsonb)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select lock.mode = 'AccessExclusiveLock',
        'the queue''s table is ' || case when lock.granted then '' else 'about to be ' end || 'locked by ' || who.said,
        who.detail || jsonb_build_object('mode', lock.mode)
    from pg_catalog.pg_locks as lock
    cross join lateral postmill._session(lock.pid) as who
    where lock.locktype = 'relation' and lock.relation = _table_lockers.relation
      and lock.database = (
          select known.oid from pg_catalog.pg_database as known where known.datname = current_database())
      and lock.pid is distinct from pg_backend_pid()
      and (lock.mode = 'AccessExclusiveLock'
           or lock.granted and lock.mode in ('ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock'));
$$;
