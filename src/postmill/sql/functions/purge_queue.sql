-- Deletes every message of a queue that is not running, and returns how many. Unlike pgmq.purge_queue it does not
-- truncate the table under messages that workers hold. Archive and dead letters stay. A message that another client
-- has read and not yet finished counts as waiting. Runs of flows whose tasks are deleted are cancelled.
-- Called by people and the command line. Locks: the queue's rows in msg_id order, 10,000 at a time; rows that another
-- session has locked are left alone, since they are being claimed; then as _purged and cancel_run. Errors: PM001.
create or replace function postmill.purge_queue(name text) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    relation regclass := postmill._named_table(purge_queue.name);
    after_id bigint := 0;
    ids      bigint[];
    running  bigint[];
    tasks    jsonb[];
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
        execute format(
            'with gone as (delete from %s where msg_id = any ($1) and msg_id <> all ($2) returning message)
             select count(*), array_agg(message - ''value'') filter (
                 where jsonb_typeof(message) = ''object'' and message ? ''run'') from gone',
            relation) into gone, tasks using ids, running;
        delete from postmill.gates as gate
        where gate.queue_name = lower(purge_queue.name) and gate.msg_id = any (ids) and gate.msg_id <> all (running);
        total := total + gone;
        perform postmill._purged(purge_queue.name, array(select unnest(ids) except select unnest(running)));
        perform postmill.cancel_run(run_id, format('queue %s was purged', purge_queue.name))
        from unnest(postmill._runs_of_tasks(purge_queue.name, tasks)) as run_id;
        after_id := ids[cardinality(ids)];
    end loop;
    return total;
end
$$;
