-- End the session in which this worker held its lock before: the network has cut it off, and the server does not know
-- that yet. No other session ever holds this lock. Called by: engine heartbeat, when the lock can't be taken after a
-- reconnect. $1 the lock's key. Waits up to a second for the session's end. Returns whether there was one. Errors:
-- insufficient_privilege never, for it is our own role.
select bool_or(pg_terminate_backend(l.pid, 1000)) as ended
  from pg_locks as l
 where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and l.pid <> pg_backend_pid()
   and l.database = (select d.oid from pg_database as d where d.datname = current_database())
   and (l.classid::bigint << 32) | l.objid::bigint = $1::bigint
