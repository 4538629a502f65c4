-- Cancels messages of a queue, and says of each what became of it: 'cancelled', 'requested' (it is running: its worker
-- is told), or 'refused' (it is a task of the run in `detail`, which could not go on without it). What waits for them
-- follows: see _ended. `reason` is kept with them.
-- Called by cancel and _operate, which hold the messages' rows in blocked and in the queue: a claim that came before is
-- seen, and none can come between. Lock order: cancellations, gates, blocked, edges; then as _ended. Errors: PM001.
create or replace function postmill._cancel(queue text, ids bigint[], reason text default null)
returns table (msg_id bigint, outcome text, detail text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    relation constant regclass := postmill._queue_table(queue);
    running  constant bigint[] := postmill._running(queue, ids);
    task_ids bigint[];
    run_ids  bigint[];
    gone     bigint[];
    followed bigint[];
    headers  jsonb[];
begin
    execute format(
        'select array_agg(task.msg_id), array_agg(task.run_id)
         from (select msg_id, (postmill._runs_of_tasks($1, array[message - ''value'']))[1] as run_id from %s
               where msg_id = any ($2) and jsonb_typeof(message) = ''object'' and message ? ''run'') as task
         where task.run_id is not null', relation)
    into task_ids, run_ids using queue, ids;
    return query select task.id, 'refused', format('a task of run %s', task.run_id)
    from unnest(task_ids, run_ids) as task (id, run_id);
    for msg_id in select each.id from unnest(running) as each (id) where each.id <> all (coalesce(task_ids, '{}')) loop
        perform postmill._ask_to_stop(queue, _cancel.msg_id, _cancel.reason);
        outcome := 'requested';
        return next;
    end loop;
    execute format(
        'with gone as (
             delete from %s as queued where msg_id = any ($2) and msg_id <> all ($3)
             returning $1 as queue_name, msg_id, message, %s as headers, enqueued_at, $4 as reason
         ), noted as (
--+ cancelled_messages
         )
         select coalesce(array_agg(msg_id order by msg_id), ''{}''),
             array_agg(msg_id order by msg_id) filter (where follows),
             array_agg(headers order by msg_id) filter (where follows)
         from gone cross join lateral (
             select headers ?| array[''postmill-dependents'', ''postmill-then'', ''postmill-else'', ''postmill-run'']
                    or jsonb_typeof(headers) <> ''object'' as follows) as it',
        relation, postmill._headers_of(relation))
    into gone, followed, headers using queue, ids, running || task_ids, reason;
    -- Few queues have any of these: then there is nothing to look for, message by message.
    if exists (select from postmill.gates as gate where gate.queue_name = lower(queue)) then
        delete from postmill.gates as gate where gate.queue_name = lower(queue) and gate.msg_id = any (gone);
    end if;
    if exists (select from postmill.blocked as held where held.queue_name = lower(queue)) then
        delete from postmill.blocked as held where held.queue_name = lower(queue) and held.msg_id = any (gone);
    end if;
    if exists (select from postmill.edges as edge where edge.target_queue = lower(queue)) then
        delete from postmill.edges as edge where edge.target_queue = lower(queue) and edge.target_id = any (gone);
    end if;
    if followed is not null then
        perform postmill._ended(queue, followed, headers, 'cancelled');
    end if;
    perform postmill._tell_waiters(queue, gone);
    return query select each.id, 'cancelled', null::text from unnest(gone) as each (id);
end
$$;
