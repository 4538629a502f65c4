-- Locks those of `ids` that no other session holds: dead letters, or messages, with their rows in blocked first, as a
-- release does. Returns them.
-- Called by _step_operation. Lock order: blocked by msg_id, the queue's rows by msg_id; or letters by letter_id; all
-- skipping locked. Errors: PM001 no such queue.
create or replace function postmill._hold(queue text, letters boolean, ids bigint[]) returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    waiting bigint[] := '{}';
    mine    bigint[];
begin
    if letters then
        return array(select letter.letter_id from postmill.dead_letters as letter
                     where letter.letter_id = any (ids) and letter.queue_name = queue and letter.replayed_at is null
                     order by letter.letter_id for update skip locked);
    end if;
    if exists (select from postmill.blocked as held where held.queue_name = lower(queue)) then
        waiting := array(select held.msg_id from postmill.blocked as held
                         where held.queue_name = lower(queue) and held.msg_id = any (ids));
    end if;
    if waiting <> '{}' then
        mine := array(select held.msg_id from postmill.blocked as held
                      where held.queue_name = lower(queue) and held.msg_id = any (waiting)
                      order by held.msg_id for update skip locked);
    end if;
    execute format(
        'select array(select msg_id from %s where msg_id = any ($1) and (msg_id <> all ($2) or msg_id = any ($3))
                      order by msg_id for update skip locked)', postmill._queue_table(queue))
    into mine using ids, waiting, mine;
    return mine;
end
$$;
