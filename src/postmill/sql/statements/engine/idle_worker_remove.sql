-- A worker that is full, behind or about to stop is not to be woken any more. Another one is woken in its place: this
-- one may have been woken meanwhile. Called by: engine claimer. $1 queue, $2 worker. Locks: its own row of
-- idle_workers.
with gone as (delete from postmill.idle_workers where queue_name = $1::text and worker_id = $2::uuid)
select postmill._wake_one($1::text, $2::uuid)
