-- Cancels a message. Returns 'cancelled' (it was waiting: taken out of the queue, kept in postmill.cancellations),
-- 'requested' (it is running: its worker is told, and decides when to stop) or 'not found'. Calling it again is
-- harmless. A message that another pgmq client has read and not yet finished counts as waiting.
-- Messages that wait for it are cancelled too, or go on without it, as they were sent to.
-- Called by people, the command line and the client. Locks: the message's row in blocked, as a release does; then its
-- row, so that no claim can come between; its row in cancellations, edges; then as _ended. Errors: PM001 no such
-- queue, PM005 a task of a run.
create or replace function postmill.cancel(queue text, msg_id bigint) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    relation regclass := postmill._queue_table(queue);
    is_there boolean;
    task     jsonb;
    ended    jsonb;
begin
    perform from postmill.blocked as held
    where held.queue_name = lower(queue) and held.msg_id = cancel.msg_id for update;
    execute format('select true, message from %s where msg_id = $1 for update', relation)
    into is_there, task using cancel.msg_id;
    if is_there is null then
        return case when exists (
            select from postmill.cancellations as cancellation
            where cancellation.queue_name = queue and cancellation.msg_id = cancel.msg_id
              and cancellation.cancelled_at is not null
        ) then 'cancelled' else 'not found' end;
    end if;
    if jsonb_typeof(task) = 'object' and task ? 'run' then
        perform postmill._refuse_task(queue, cancel.msg_id, task);
    end if;
    if postmill._running(queue, array[cancel.msg_id]) <> '{}' then
        perform postmill._ask_to_stop(queue, cancel.msg_id, null);
        return 'requested';
    end if;
    execute format(
        'with gone as (
             delete from %s as queued where msg_id = $2
             returning $1 as queue_name, msg_id, message, nullif(to_jsonb(queued) -> ''headers'', ''null'') as headers,
                 enqueued_at, null::text as reason), noted as (
--+ cancelled_messages
         )
         select headers from gone',
        relation) into ended using queue, cancel.msg_id;
    delete from postmill.gates as gate where gate.queue_name = lower(queue) and gate.msg_id = cancel.msg_id;
    delete from postmill.blocked as held where held.queue_name = lower(queue) and held.msg_id = cancel.msg_id;
    delete from postmill.edges as edge where edge.target_queue = lower(queue) and edge.target_id = cancel.msg_id;
    perform postmill._ended(queue, array[cancel.msg_id], array[ended], 'cancelled');
    perform postmill._tell_waiters(queue, array[cancel.msg_id]);
    return 'cancelled';
end
$$;
