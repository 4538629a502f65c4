-- The name under which a queue is known, for one that is written in lower case: as in pgmq.meta, where another client
-- may have written it in capitals. Tables of pgmq have names in lower case, and so do queues in edges and blocked.
-- Called by _open, _cancel_targets and the sweep. Takes no locks. Errors: none.
create or replace function postmill._queue_name_of(queue text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select meta.queue_name::text from pgmq.meta as meta where meta.queue_name = queue),
        (select meta.queue_name::text from pgmq.meta as meta where lower(meta.queue_name) = queue limit 1),
        queue);
$$;
