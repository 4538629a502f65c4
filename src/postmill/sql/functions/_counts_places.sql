-- Whether something limits how many messages of a queue run at once: the queue, each of its groups, or one of them.
-- Where nothing does, a claim writes no places down: to move a gate among those that are held costs a claim a third
-- of its time.
-- Called by _take_gated. Takes no locks. Errors: none.
create or replace function postmill._counts_places(queue text) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select exists (select from postmill.queues as q
                   where q.queue_name = queue and coalesce(q.max_running, q.group_max_running) is not null)
        or exists (select from postmill.groups as g
                   where g.queue_name = lower(queue) and g.max_running is not null);
$$;
