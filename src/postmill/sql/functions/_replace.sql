-- Replaces messages that wait, each under its id: the payload, the headers, what is sent at its end, and when it is
-- due. Where it waits stays as it is (see _replaced_headers), and so does what was counted of it: its attempts.
-- Called by _send, for messages that _take_keys has locked or that this transaction has sent. Locks: the queue's rows
-- in msg_id order, then those of gates and blocked. Errors: PM001.
create or replace function postmill._replace(
    queue text, ids bigint[], messages jsonb[], headers jsonb[], due_at timestamptz
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format(
        'update %s as queued
            set message = new.message,
                headers = postmill._replaced_headers(queued.headers, new.headers),
                vt = case when queued.vt >= postmill._parked_until() then queued.vt else $4 end
           from unnest($1, $2, $3) as new (msg_id, message, headers)
          where queued.msg_id = new.msg_id and queued.msg_id = any ($1)',
        postmill._queue_table(queue))
    using ids, messages, headers, due_at;
    update postmill.gates as gate set rank = due_at
    where gate.queue_name = lower(queue) and gate.msg_id = any (ids) and gate.claim_id is null;
    update postmill.blocked as waiting set due_at = _replace.due_at
    where waiting.queue_name = lower(queue) and waiting.msg_id = any (ids);
    perform postmill._wake_for(queue, due_at);
end
$$;
