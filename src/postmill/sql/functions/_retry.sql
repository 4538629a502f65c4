-- Makes messages of a queue ready, and says of each what became of it: 'ready', 'running' (a worker has it; nothing was
-- done) or 'refused' (it waits for other messages). One that waits for its group goes on waiting there, as if it were
-- due now.
-- Called by retry and _operate, which hold the messages' rows: a claim that came before is seen, and none can come
-- between. Lock order: gates. Errors: PM001.
create or replace function postmill._retry(queue text, ids bigint[])
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
    blocked  constant bigint[] := array(
        select held.msg_id from postmill.blocked as held
        where held.queue_name = lower(queue) and held.msg_id = any (ids) and held.msg_id <> all (running));
    gated    bigint[];
    ready    bigint[];
begin
    return query select each.id, 'running', null::text from unnest(running) as each (id);
    return query select each.id, 'refused', 'waits for other messages' from unnest(blocked) as each (id);
    with open as (
        update postmill.gates as gate set claim_id = null, rank = clock_timestamp()
        where gate.queue_name = lower(queue) and gate.msg_id = any (ids) and gate.msg_id <> all (running || blocked)
        returning gate.msg_id
    )
    select coalesce(array_agg(open.msg_id), '{}') into gated from open;
    execute format(
        'with back as (
             update %s as queued
             set vt = case when msg_id = any ($3) then postmill._parked_until() else clock_timestamp() end
             where msg_id = any ($1) and msg_id <> all ($2)
             returning msg_id)
         select coalesce(array_agg(msg_id), ''{}'') from back', relation)
    into ready using ids, running || blocked, gated;
    if ready <> '{}' then
        perform postmill._wake_one(queue);
    end if;
    return query select each.id, 'ready', null::text from unnest(ready) as each (id);
end
$$;
