-- Whether pg_locks shows this session what process $1 holds: the advisory lock $2, and the lock of a table that its
-- transaction has read. Both are told apart by the same columns as in _held_locks and in the part snapshot_source.
-- Called by db server_needs. Takes no locks. Errors: insufficient_privilege where pg_locks is not open to the role.
select count(*) filter (where lock.locktype = 'advisory' and lock.objsubid = 1
                          and (lock.classid::bigint << 32) | lock.objid::bigint = $2::bigint) > 0 as advisory,
       count(*) filter (where lock.locktype = 'relation' and lock.virtualtransaction is not null
                          and lock.relation = 'pg_catalog.pg_namespace'::regclass) > 0 as relation
  from pg_catalog.pg_locks as lock
 where lock.pid = $1::integer and lock.granted
   and lock.database = (select known.oid from pg_catalog.pg_database as known where known.datname = current_database())
