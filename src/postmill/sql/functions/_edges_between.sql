-- The edges from the sources `ids` of a queue to `targets`, each in its queue of `queues`, and where their rows lie, as
-- _edges_to says it. Where one side is short (four at most), each pair is looked up by itself, as a range, which only
-- the primary key can answer: of a message that waits for thousands, all edges would be read with the end of each.
-- Else pairs would be too many, and the edges of all targets are read.
-- Called by _cut_edges and _cancel_targets. Takes no locks. Errors: none.
create or replace function postmill._edges_between(queue text, ids bigint[], queues text[], targets bigint[])
returns table (at tid, source_id bigint, target_queue text, target_id bigint, on_dead text)
language sql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
    select edge.*
    from unnest(ids) as source (id)
    cross join unnest(queues, targets) as target (queue, id)
    cross join lateral (
        select found.ctid, found.source_id, found.target_queue, found.target_id, found.on_dead
        from postmill.edges as found
        where (found.source_queue, found.source_id, found.target_queue, found.target_id)
                  >= (_edges_between.queue, source.id, target.queue, target.id)
          and (found.source_queue, found.source_id, found.target_queue, found.target_id)
                  <= (_edges_between.queue, source.id, target.queue, target.id) offset 0
    ) as edge
    where least(cardinality(ids), cardinality(targets)) <= 4
    union all
    select edge.at, edge.source_id, edge.target_queue, edge.target_id, edge.on_dead
    from postmill._edges_to(queues, targets) as edge
    join unnest(ids) as source (id) on edge.source_id = source.id
    where edge.source_queue = _edges_between.queue and least(cardinality(ids), cardinality(targets)) > 4;
$$;
