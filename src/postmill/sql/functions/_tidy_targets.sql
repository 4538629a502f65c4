-- Tidies away what is left of messages that wait no more: another client has deleted or archived them, or a queue was
-- made anew and their ids are those of other messages. A message without an edge waits for nothing, and is opened.
-- Called by the sweep. Lock order: blocked (skipping locked), edges, then as _open. Errors: those of the table.
create or replace function postmill._tidy_targets(queue text, ids bigint[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    relation constant regclass := to_regclass(format('pgmq.%I', 'q_' || queue));
    mine     bigint[];
    waiting  bigint[] := '{}';
    free     bigint[];
begin
    mine := array(
        select held.msg_id from postmill.blocked as held
        where held.queue_name = queue and held.msg_id = any (ids) order by held.msg_id for update skip locked);
    if relation is not null then
        execute format('select array(select msg_id from %s where msg_id = any ($1) and headers ? ''postmill-after'')',
                       relation)
        into waiting using mine;
    end if;
    delete from postmill.blocked as held
    where held.queue_name = queue and held.msg_id = any (mine) and held.msg_id <> all (waiting);
    delete from postmill.edges as edge
    where edge.target_queue = queue and edge.target_id = any (mine) and edge.target_id <> all (waiting);
    free := array(
        select target.id from unnest(waiting) as target (id)
        where not exists (select from postmill.edges as edge
                          where edge.target_queue = queue and edge.target_id = target.id offset 0));
    if free <> '{}' then
        perform postmill._open(queue, free);
    end if;
end
$$;
