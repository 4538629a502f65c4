-- The age, in transactions, of the oldest one that writes to a table and has not ended, prepared ones too; null when
-- there is none. Every row of a transaction older than this one can be seen. The caller's own is left out.
-- Called by _count_errors. Takes no locks. Errors: none.
create or replace function postmill._oldest_writer(of regclass) returns integer
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    with held as materialized (
        select one.locktype, one.virtualtransaction, one.transactionid, one.database, one.relation, one.mode
          from pg_catalog.pg_locks as one
         where one.granted and one.pid is distinct from pg_backend_pid()
    )
    select max(age(its.transactionid))
      from held as writes
      join held as its on its.virtualtransaction = writes.virtualtransaction
                      and its.locktype = 'transactionid' and its.mode = 'ExclusiveLock'
     where writes.locktype = 'relation' and writes.relation = of and writes.mode = 'RowExclusiveLock'
       and writes.database = (select oid from pg_catalog.pg_database where datname = current_database())
$$;
