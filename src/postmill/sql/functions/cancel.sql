-- Cancels a message. Returns 'cancelled' (it was waiting: taken out of the queue, kept in postmill.cancellations),
-- 'requested' (it is running: its worker is told, and decides when to stop) or 'not found'. Calling it again is harmless.
-- A message that another pgmq client has read and not yet finished counts as waiting.
-- Called by people, the command line and the client. Locks: the message's row first, so that no claim can come between,
-- then its row in cancellations. Errors: PM001 no such queue.
create or replace function postmill.cancel(queue text, msg_id bigint) returns text
language plpgsql
set search_path = ''
as $$
declare
    relation regclass := postmill._queue_table(queue);
    running  boolean;
begin
    execute format('select true from %s where msg_id = $1 for update', relation) into running using cancel.msg_id;
    if running is null then
        return case when exists (
            select from postmill.cancellations as cancellation
            where cancellation.queue_name = queue and cancellation.msg_id = cancel.msg_id
              and cancellation.cancelled_at is not null
        ) then 'cancelled' else 'not found' end;
    end if;
    execute format(
        'select exists (select from %s as queued
             join postmill._receipts($1) as receipt using (msg_id, read_ct)
             where queued.msg_id = $2 and queued.vt > clock_timestamp())',
        relation) into running using queue, cancel.msg_id;
    if running then
        insert into postmill.cancellations (queue_name, msg_id) values (queue, cancel.msg_id)
        on conflict on constraint cancellations_pkey do nothing;
        perform pg_notify(('postmill.' || queue)::name::text, 'cancel');
        return 'requested';
    end if;
    execute format(
        'with gone as (
             delete from %s as queued where msg_id = $2
             returning message, to_jsonb(queued) -> ''headers'' as headers, enqueued_at)
         insert into postmill.cancellations (queue_name, msg_id, cancelled_at, message, headers, enqueued_at)
         select $1, $2, clock_timestamp(), message, nullif(headers, ''null''), enqueued_at from gone
         on conflict on constraint cancellations_pkey do update
         set cancelled_at = excluded.cancelled_at, message = excluded.message, headers = excluded.headers,
             enqueued_at = excluded.enqueued_at',
        relation) using queue, cancel.msg_id;
    return 'cancelled';
end
$$;
