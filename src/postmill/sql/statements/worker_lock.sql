-- Take the session lock that shows a worker is alive: free at once when its process or connection ends.
-- Called by: engine heartbeat. $1 the lock's key.
select pg_try_advisory_lock($1::bigint) as held
