-- Whether Postmill creates a queue of that name. The rule is the one of postmill.model.queue.queue_name.
-- Called by _check_queue_name and _queue_table. Takes no locks. Errors: none.
create or replace function postmill._is_queue_name(name text) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(name ~ '^[a-z0-9_][a-z0-9_-]{0,46}$' and position('--' in name) = 0, false);
$$;
