-- Writes down, once, that messages of a queue have waited at gates: from then on its workers need not ask whether there
-- is one. A claim does that, and no sender, whose transaction may be long: others would wait for it.
-- Called by claim_gated. Locks: the queue's row in queues (skipping a locked one). Errors: none.
create or replace function postmill._set_gated(queue text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    update postmill.queues as known set gated = true
    where known.queue_name = (select q.queue_name from postmill.queues as q where q.queue_name = queue
                                 for update skip locked);
$$;
