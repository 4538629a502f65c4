-- An idle worker asks to be woken when something is sent. Called by: engine claimer. $1 queue, $2 worker.
-- Errors: invalid_column_reference while the table has no key yet, because it is being restored (see worker_start).
insert into postmill.idle_workers (queue_name, worker_id) values ($1::text, $2::uuid)
    on conflict (queue_name, worker_id) do nothing
