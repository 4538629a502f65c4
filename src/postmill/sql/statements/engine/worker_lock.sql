-- Take the session lock that shows a worker is alive: free at once when its process or connection ends.
-- Called by: engine heartbeat. $1 the lock's key. Locks: none but that one, never waiting for it.
select pg_try_advisory_lock($1::bigint) as held
