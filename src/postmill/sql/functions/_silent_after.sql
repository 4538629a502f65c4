-- How long a worker may be silent before it is judged to be gone: ten seconds, or its lease if that is longer. The one
-- home of this bound in SQL; model/queue/silence.py is its home in Python. What only shows workers uses the shorter
-- bound of the view active_workers.
-- Called by: postmill.rescue, _gone_workers and the statement worker_heartbeat. Locks: none. Errors: none.
create or replace function postmill._silent_after(lease interval) returns interval
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select greatest(interval '10 seconds', lease)
$$;
