-- Makes a message ready that waits for a moment to come, or puts it back when it is dead. Returns 'ready' (it was
-- delayed, or waited for its next attempt), 'replayed' (it is a new message now: see the letter's replayed_as),
-- 'running' (a worker has it; nothing was done), 'skipped' (it is dead, and another message holds its unique key) or
-- 'not found'. A message that another pgmq client has read and not yet finished counts as waiting, and
-- is delivered again. Calling it again is harmless.
-- Called by people and the command line. Locks: the message's row first, so that no claim can come between; then as
-- _retry; for a dead one its letter. Errors: PM001 no such queue, PM005 a message that waits for others.
create or replace function postmill.retry(queue text, msg_id bigint) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    relation regclass := postmill._named_table(queue);
    waits    boolean;
    fate     text;
begin
    execute format('select true from %s where msg_id = $1 for update', relation) into waits using retry.msg_id;
    if waits is null then
        return coalesce((
            select min(case when replayed.msg_id is null then 'skipped' else 'replayed' end)
            from postmill.dead_letters as letter,
                lateral postmill.replay(letter.queue_name, array[letter.letter_id]) as replayed
            where letter.queue_name = queue and letter.msg_id = retry.msg_id and letter.replayed_at is null),
            'not found');
    end if;
    -- A statement of its own: it sees the claim that was committed before we got the row.
    select done.outcome into fate from postmill._retry(queue, array[retry.msg_id]) as done;
    if fate = 'refused' then
        perform postmill._refuse_retry(queue, retry.msg_id);
    end if;
    return fate;
end
$$;
