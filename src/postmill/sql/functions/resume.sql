-- Lets workers claim messages of a paused queue again, at once. Harmless on a queue that is not paused.
-- Called by people and the command line. Locks: the queue's row in postmill.queues. Errors: PM001.
create or replace function postmill.resume(queue text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._named_table(queue);
    update postmill.queues set paused_at = null, paused_by = null, pause_reason = null where queue_name = queue;
    perform pg_notify(('postmill.' || queue)::name::text, 'resume');
end
$$;
