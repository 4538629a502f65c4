-- Stops workers from claiming messages of a queue; what runs goes on, and sending works as before. Other pgmq clients
-- are not bound by it. Pausing again changes the reason only.
-- Called by people and the command line. Locks: the queue's row in postmill.queues. Errors: PM001.
create or replace function postmill.pause(queue text, reason text default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._named_table(queue);
    insert into postmill.queues as row (queue_name, owned, paused_at, paused_by, pause_reason)
    values (queue, false, clock_timestamp(), session_user, reason)
    on conflict (queue_name) do update
    set paused_at = coalesce(row.paused_at, excluded.paused_at),
        paused_by = excluded.paused_by,
        pause_reason = excluded.pause_reason;
    perform pg_notify(('postmill.' || queue)::name::text, 'pause');
end
$$;
