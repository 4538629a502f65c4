-- Puts dead letters of a queue back as new messages; see replay. `by_whom`: what the letters say of that.
-- Called by replay and _operate. Locks and errors as replay.
create or replace function postmill._replay(queue text, letter_ids bigint[], message jsonb, by_whom text)
returns table (letter_id bigint, msg_id bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    letter     postmill.dead_letters;
begin
    for letter in
        select * from postmill.dead_letters as candidate
        where candidate.queue_name = queue and candidate.replayed_at is null
          and (letter_ids is null or candidate.letter_id = any (letter_ids))
        order by candidate.letter_id for update skip locked
    loop
        letter_id := letter.letter_id;
        msg_id := postmill._send_letter(queue, coalesce(_replay.message, letter.message, 'null'), letter);
        if msg_id is null then
            return next;
            continue;
        end if;
        perform postmill._move_edges(lower(queue), letter.msg_id, _replay.msg_id, patient => true);
        update postmill.dead_letters as replayed
        set replayed_at = clock_timestamp(), replayed_as = _replay.msg_id, replayed_by = by_whom
        where replayed.letter_id = letter.letter_id;
        return next;
    end loop;
end
$$;
