-- Cancels a message. Returns 'cancelled' (it was waiting: taken out of the queue, kept in postmill.cancellations),
-- 'requested' (it is running: its worker is told, and decides when to stop) or 'not found'. Calling it again is
-- harmless. A message that another pgmq client has read and not yet finished counts as waiting.
-- Called by people, the command line and the client. Locks: the message's row first, so that no claim can come between,
-- then its row in cancellations. Errors: PM001 no such queue.
create or replace function postmill.cancel(queue text, msg_id bigint) returns text
language plpgsql
set search_path = ''
as $$
declare
    relation regclass := postmill._queue_table(queue);
    is_there boolean;
begin
    execute format('select true from %s where msg_id = $1 for update', relation) into is_there using cancel.msg_id;
    if is_there is null then
        return case when exists (
            select from postmill.cancellations as cancellation
            where cancellation.queue_name = queue and cancellation.msg_id = cancel.msg_id
              and cancellation.cancelled_at is not null
        ) then 'cancelled' else 'not found' end;
    end if;
    if postmill._running(queue, array[cancel.msg_id]) <> '{}' then
        insert into postmill.cancellations (queue_name, msg_id) values (queue, cancel.msg_id)
        on conflict on constraint cancellations_pkey do nothing;
        perform pg_notify(('postmill.' || queue)::name::text, 'cancel');
        return 'requested';
    end if;
    execute format(
        'with gone as (
             delete from %s as queued where msg_id = $2
             returning $1 as queue_name, msg_id, message, nullif(to_jsonb(queued) -> ''headers'', ''null'') as headers,
                 enqueued_at)
--+ cancelled_messages
        ',
        relation) using queue, cancel.msg_id;
    return 'cancelled';
end
$$;
