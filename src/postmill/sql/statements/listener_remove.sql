-- A busy worker asks not to be woken: it comes by anyway. Called by: engine claimer. $1 queue, $2 worker.
delete from postmill.listeners where queue_name = $1::text and worker_id = $2::uuid
