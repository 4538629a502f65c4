-- Puts dead letters back into their queue as new messages, all of them or `letter_ids`, in one transaction; writes
-- down when, by whom and as which message. `message` replaces the payload (of one letter). Letters that were replayed
-- already, or are not of this queue, are skipped: the rows returned say what was done. A letter whose unique key
-- another message holds stays a letter: its row has no msg_id. Where pgmq has headers, postmill-replayed-from is the
-- letter's id; priority, group and key are the letter's. What waits for the letter waits for the new message.
-- Called by people, the command line and the client. Locks: the letters by id, and each one's edges as _move_edges; two
-- calls at once share no letter.
-- Errors: PM001 no such queue, PM003 one payload for several letters.
create or replace function postmill.replay(
    queue      text,
    letter_ids bigint[] default null,
    message    jsonb default null
) returns table (letter_id bigint, msg_id bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
begin
    perform postmill._named_table(queue);
    if replay.message is not null and coalesce(cardinality(letter_ids), 0) <> 1 then
        raise exception 'a new payload goes with exactly one letter'
            using errcode = 'PM003', hint = 'Name it: letter_ids => array[42].';
    end if;
    return query select * from postmill._replay(queue, letter_ids, replay.message, session_user);
end
$$;
