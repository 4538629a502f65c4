-- What has been spent so far: write-ahead log of the whole server in bytes, and row versions that died in the
-- throw-away queue, its archive and our own tables. Dead ones are counted as updates and deletes: vacuum does not
-- bring these counters down.
-- Called by postmill.bench, outside a transaction. Locks: none. Errors: none.
select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint as wal_bytes,
       sum(n_tup_upd + n_tup_del)::bigint as dead_rows,
       sum(n_tup_upd) filter (where relid = '{queue}'::regclass)::bigint as claimed,
       sum(n_tup_del) filter (where relid = '{queue}'::regclass)::bigint as settled
  from pg_catalog.pg_stat_all_tables
 where relid in ('{queue}'::regclass, '{archive}'::regclass) or schemaname = 'postmill'
