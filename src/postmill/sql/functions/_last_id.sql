-- The last id of a queue's messages, or of its dead letters; 0 where there is none.
-- Called by plan_operation and start_operation. Takes no locks. Errors: PM001 no such queue.
create or replace function postmill._last_id(queue text, letters boolean) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    found bigint;
begin
    if letters then
        select max(letter.letter_id) into found from postmill.dead_letters as letter
        where letter.queue_name = queue and letter.replayed_at is null;
    else
        execute format('select max(msg_id) from %s', postmill._queue_table(queue)) into found;
    end if;
    return coalesce(found, 0);
end
$$;
