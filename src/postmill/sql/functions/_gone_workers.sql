-- Workers that are still on record as living, and are gone, with the reason that is written down for it:
--   crash    the worker has let go of its session lock, a second ago or longer; or it is silent, and has no lock that
--            could show that it lives
--   silence  the worker is silent, and its lock is held: its machine or network vanished, or its process is stopped
-- A heartbeat and a claim are signs of life. Nothing is known of the time before `up` (the server's start, or the
-- caller's own reconnection): a worker without a sign of life since then has the same time to come back as any silent
-- one.
-- Called by: postmill.rescue. Locks: none. Errors: none.
create or replace function postmill._gone_workers(up timestamptz)
returns table (worker_id uuid, last_heartbeat_at timestamptz, reason text)
language sql
set search_path = pg_catalog, pg_temp
as $$
    select living.worker_id, living.last_heartbeat_at, case when living.locked then 'silence' else 'crash' end
      from (select w.worker_id, w.last_heartbeat_at, w.lock_free_at, w.lock_key,
                   postmill._silent_after(w.lease) as bound,
                   w.lock_key is not null and w.lock_key in (select postmill._held_locks()) as locked
              from postmill.workers as w
             where w.stopped_at is null) as living
     where (living.lock_key is not null and not living.locked
            and living.lock_free_at < clock_timestamp() - interval '1 second'
            and (living.last_heartbeat_at >= up or clock_timestamp() > up + living.bound))
        or (clock_timestamp() > greatest(living.last_heartbeat_at, up) + living.bound
            and clock_timestamp() > living.bound
                + coalesce((select max(c.claimed_at) from postmill.claims as c where c.worker_id = living.worker_id),
                           '-infinity'))
     limit 1000
$$;
