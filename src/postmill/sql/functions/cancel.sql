-- Cancels a message. Returns 'cancelled' (it was waiting: taken out of the queue, kept in postmill.cancellations),
-- 'requested' (it is running: its worker is told, and decides when to stop) or 'not found'. Calling it again is
-- harmless. A message that another pgmq client has read and not yet finished counts as waiting.
-- Messages that wait for it are cancelled too, or go on without it, as they were sent to.
-- Called by people, the command line and the client. Locks: the message's row in blocked, as a release does; then its
-- row, so that no claim can come between; then as _cancel. Errors: PM001 no such queue, PM005 a task of a run.
create or replace function postmill.cancel(queue text, msg_id bigint) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    relation regclass := postmill._named_table(queue);
    is_there boolean;
    task     jsonb;
    fate     text;
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
    -- A statement of its own: it sees the claim that was committed before we got the row.
    select done.outcome into fate from postmill._cancel(queue, array[cancel.msg_id]) as done;
    if fate = 'refused' then
        perform postmill._refuse_task(queue, cancel.msg_id, task);
    end if;
    return fate;
end
$$;
