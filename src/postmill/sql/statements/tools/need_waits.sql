-- Whether process $1 waits for a lock. Called by db server_needs. Takes no locks. Errors: none.
select exists (select from pg_catalog.pg_locks as lock where lock.pid = $1::integer and not lock.granted) as waits
