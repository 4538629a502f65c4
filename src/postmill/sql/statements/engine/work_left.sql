-- Whether a worker could run a message of one of the queues $1 now.
-- Called by the engine, when the process is to leave once there is none. Takes no locks. Errors: PM001 no such queue.
select coalesce(bool_or(postmill._has_work(name)), false) as is_left from unnest($1::text[]) as name
