-- A worker that is full, behind or about to stop does not want to be called any more; another is called instead, in case this one was
-- called meanwhile. Called by: engine claimer. $1 queue, $2 worker. Locks: its own row of listeners.
with gone as (delete from postmill.listeners where queue_name = $1::text and worker_id = $2::uuid)
select postmill._wake_one($1::text, $2::uuid)
