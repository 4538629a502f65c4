-- Locks the sources of the edges that are new in this transaction, and the messages `ids` of `queue` with them, in
-- order of queue and id: two transactions that lock several sources each never wait for each other.
-- Called by the first _edge_at_commit of a transaction, and before it by the statement complete inside a handler's
-- transaction, which then holds its own message as well. Lock order: queue rows by queue and msg_id. Errors: those of
-- the tables.
create or replace function postmill._lock_sources(queue text default null, ids bigint[] default '{}') returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    source   record;
    relation regclass;
begin
    for source in
        select wanted.queue, array_agg(wanted.id) as ids
        from (select edge.source_queue as queue, edge.source_id as id
              from (select array_agg(target.target_queue) as queues, array_agg(target.target_id) as ids
                    from postmill._expected_edges() as target) as new
              cross join lateral postmill._edges_to(new.queues, new.ids) as edge
              union all
              select lower(_lock_sources.queue), own.id from unnest(_lock_sources.ids) as own (id)) as wanted
        group by wanted.queue order by wanted.queue collate "C"
    loop
        relation := to_regclass(format('pgmq.%I', 'q_' || source.queue));
        if relation is not null then
            execute format('select from %s where msg_id = any ($1) order by msg_id for no key update', relation)
            using source.ids;
        end if;
    end loop;
end
$$;
