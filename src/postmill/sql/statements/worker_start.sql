-- Announce a worker. Called by: engine heartbeat, at start. $1 worker, $2 queue, $3 function, $4 host, $5 pid, $6 version,
-- $7 max_concurrent, $8 the session lock it holds (null behind a pooler). Started again after a reconnect: the row is kept.
insert into postmill.workers (worker_id, queue_name, function_name, hostname, pid, version, max_concurrent, lock_key)
values ($1::uuid, $2::text, $3::text, $4::text, $5::integer, $6::text, $7::integer, $8::bigint)
on conflict (worker_id) do update
   set last_heartbeat_at = clock_timestamp(), lock_free_at = null, stopped_at = null, stop_reason = null,
       lock_key = excluded.lock_key
