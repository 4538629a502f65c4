-- Writes down which living workers have let go of their session lock, and returns all of those that are not judged yet.
-- Called by: postmill.rescue, last: the rows that it locks are unlocked with the end of that statement.
-- Lock order: postmill.workers (skipping locked rows: another rescue writes the same down, or the worker itself has
-- been heard of).
-- Errors: none of its own.
create or replace function postmill._suspect_workers()
returns table (queue_name text, worker_id uuid)
language sql
set search_path = pg_catalog, pg_temp
as $$
    update postmill.workers as suspect
       set lock_free_at = coalesce(suspect.lock_free_at, clock_timestamp())
     where suspect.worker_id in (
        select w.worker_id
          from postmill.workers as w
         where w.stopped_at is null and w.lock_key is not null and w.lock_key not in (select postmill._held_locks())
         limit 1000
           for update skip locked)
    returning suspect.queue_name, suspect.worker_id;
$$;
