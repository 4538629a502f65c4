-- Asks the worker that runs a message to stop it. Called by cancel and _take_blocked. Locks: the message's row in
-- cancellations. Errors: none.
create or replace function postmill._ask_to_stop(queue text, msg_id bigint, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into postmill.cancellations (queue_name, msg_id, reason)
    values (queue, _ask_to_stop.msg_id, _ask_to_stop.reason)
    on conflict on constraint cancellations_pkey do nothing;
    perform pg_notify(('postmill.' || queue)::name::text, 'cancel');
end
$$;
