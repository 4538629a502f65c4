-- An idle worker asks to be woken when something is sent. Called by: engine claimer. $1 queue, $2 worker, $3 seconds
-- within which it looks of its own accord.
-- Errors: invalid_column_reference while the table has no key yet, because it is being restored (see worker_start).
insert into postmill.idle_workers (queue_name, worker_id, max_poll_s)
    values ($1::text, $2::uuid, $3::double precision)
    on conflict (queue_name, worker_id) do nothing
