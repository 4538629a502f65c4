-- An idle worker asks to be woken when something is sent. Called by: engine claimer. $1 queue, $2 worker.
insert into postmill.idle_workers (queue_name, worker_id) values ($1::text, $2::uuid) on conflict do nothing
