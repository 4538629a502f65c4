-- Deletes every message of a queue that is not running, and returns how many. Unlike pgmq.purge_queue it does not
-- truncate the table under messages that workers hold. Archive and dead letters stay. A message that another client
-- has read and not yet finished counts as waiting.
-- Called by people and the command line. Locks: the queue's rows in msg_id order, 10,000 at a time; rows that another
-- session has locked are left alone, since they are being claimed; then as _purged. Errors: PM001.
create or replace function postmill.purge_queue(name text) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    relation regclass := postmill._queue_table(purge_queue.name);
    after_id bigint := 0;
    ids      bigint[];
    running  bigint[];
    gone     bigint;
    total    bigint := 0;
begin
    loop
        execute format(
            'select array(select msg_id from %s where msg_id > $1 order by msg_id limit 10000 for update skip locked)',
            relation) into ids using after_id;
        exit when ids = '{}';
        -- A statement of its own: it sees the claims that were committed before we got the rows.
        running := postmill._running(purge_queue.name, ids);
        execute format('delete from %s where msg_id = any ($1) and msg_id <> all ($2)', relation) using ids, running;
        get diagnostics gone = row_count;
        delete from postmill.gates as gate
        where gate.queue_name = lower(purge_queue.name) and gate.msg_id = any (ids) and gate.msg_id <> all (running);
        total := total + gone;
        perform postmill._purged(purge_queue.name, array(select unnest(ids) except select unnest(running)));
        after_id := ids[cardinality(ids)];
    end loop;
    return total;
end
$$;
