-- Marks the sources of the messages `ids` (each in its queue of `queues`) with the header postmill-dependents, so that
-- their settlement passes their end on; a source that has ended is judged now. A source that is marked already is
-- marked again: a transaction with an older snapshot must not end it without a look at the new edge. Headers that are
-- no object are left alone: a settlement takes them for marked.
-- Called by _edge_at_commit, with the sender's own messages. Lock order: queue rows by queue and msg_id, then as
-- _judge_sources. Errors: those of the tables.
create or replace function postmill._tell_sources(queues text[], ids bigint[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    source  record;
    present bigint[];
begin
    for source in
        select edge.source_queue as queue, array_agg(distinct edge.source_id) as ids,
            array_agg(distinct edge.source_id) filter (where edge.was_there) as seen
        from postmill._edges_to(queues, ids) as edge
        where not edge.told
        group by edge.source_queue order by edge.source_queue
    loop
        present := postmill._mark_sources(source.queue, source.ids);
        update postmill.edges as edge set told = true
        where edge.ctid = any (array(
            select new.at from postmill._edges_to(queues, ids) as new
            join unnest(present) as marked (id) on new.source_id = marked.id
            where new.source_queue = source.queue));
        if cardinality(present) < cardinality(source.ids) then
            perform postmill._judge_sources(
                source.queue, array(select unnest(source.ids) except select unnest(present)),
                seen => source.seen, follows => false);
        end if;
    end loop;
end
$$;
