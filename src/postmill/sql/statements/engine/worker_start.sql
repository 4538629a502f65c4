-- Announce a worker. Called by: engine heartbeat, at start and after a reconnect: the row is kept. $1 worker, $2
-- queue, $3 function, $4 host, $5 pid, $6 version, $7 max_concurrent, $8 the session lock it holds (null without one:
-- behind a pooler), $9 its lease, $10 whether it deletes what it completes. A table without its key is one
-- that is being restored: a row put there now would be there twice in the end, and the key be refused. The heartbeat
-- announces the worker again until it is there.
-- Returns the server's clock. Locks: the worker's row, never waiting for it: when another session has locked the row,
-- the next heartbeat writes that the worker is back.
with back as (
    update postmill.workers
       set last_heartbeat_at = clock_timestamp(), lock_free_at = null, stopped_at = null, stop_reason = null,
           lock_key = $8::bigint, lease = $9::interval
     where worker_id = any (array(select worker_id from postmill.workers
                                   where worker_id = $1::uuid for update skip locked))
), announced as (
    insert into postmill.workers
           (worker_id, queue_name, function_name, hostname, pid, version, max_concurrent, lock_key, lease, deletes)
    select $1::uuid, $2::text, $3::text, $4::text, $5::integer, $6::text, $7::integer, $8::bigint, $9::interval,
           $10::boolean
     where not exists (select from postmill.workers where worker_id = $1::uuid)
       and exists (select from pg_catalog.pg_index where indrelid = 'postmill.workers'::regclass and indisprimary)
    on conflict do nothing
)
select clock_timestamp() as now
