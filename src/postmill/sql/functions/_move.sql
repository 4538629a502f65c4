-- Moves messages of a queue into the queue `target`, as new messages with the same headers: group, priority and unique
-- key go along, and so does a moment to come. Says of each what became of it: 'moved' (`detail`: its new id), 'running'
-- (a worker has it), 'skipped' (another message there holds its unique key), or 'refused': a task of a run, a message
-- of a schedule, and one that waits for others or that others wait for are known by their place.
-- Called by _operate, which holds the messages' rows. Lock order: as send_jobs, message by message; gates. Errors: as
-- send_jobs.
create or replace function postmill._move(queue text, ids bigint[], target text)
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
    moved    bigint[] := '{}';
    held     record;
    sent     record;
begin
    for held in execute format(
        'select queued.msg_id, message, its.headers, coalesce(gate.rank, queued.vt) as due_at
         from %s as queued cross join lateral (select %s as headers) as its
         left join postmill.gates as gate on gate.queue_name = $2 and gate.msg_id = queued.msg_id
         where queued.msg_id = any ($1) order by queued.msg_id', relation, postmill._headers_of(relation))
        using ids, lower(queue)
    loop
        msg_id := held.msg_id;
        outcome := 'refused';
        detail := null;
        if msg_id = any (running) then
            outcome := 'running';
        elsif held.headers ?| array['postmill-dependents', 'postmill-after'] then
            detail := 'waits for other messages, or they for it';
        elsif held.headers ? 'postmill-run' then
            detail := 'a message of a schedule';
        elsif postmill._runs_of_tasks(queue, array[held.message]) <> '{}' then
            detail := 'a task of a run';
        else
            select * into sent from postmill._send_as(target, held.message, held.headers,
                case when held.due_at > clock_timestamp() then held.due_at end);
            outcome := case when sent.existed then 'skipped' else 'moved' end;
            detail := case when sent.existed then 'its unique key is taken' else sent.msg_id::text end;
            moved := moved || case when sent.existed then '{}' else array[msg_id] end;
        end if;
        return next;
    end loop;
    execute format('delete from %s where msg_id = any ($1)', relation) using moved;
    delete from postmill.gates as gate where gate.queue_name = lower(queue) and gate.msg_id = any (moved);
end
$$;
