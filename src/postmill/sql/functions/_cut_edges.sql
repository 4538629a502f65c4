-- Takes away the edges between ended sources and messages that need not wait for them any more, and opens those
-- messages that wait for nothing else. Where a message waits for a replay of a dead source, its edge is marked.
-- Called by _pass_on, which has locked the targets' rows in blocked. Lock order: edges, blocked; then as _open. Errors:
-- as _open.
create or replace function postmill._cut_edges(
    queue text, ids bigint[], fate text, queues text[], targets bigint[]
) returns void
language plpgsql volatile
set search_path = ''
as $$
declare
    free record;
begin
    if fate in ('dead', 'cancelled') then
        update postmill.edges as edge set died = true
        from unnest(queues, targets) as target (queue, id)
        where edge.source_queue = _cut_edges.queue and edge.source_id = any (ids) and edge.on_dead = 'block'
          and edge.target_queue = target.queue and edge.target_id = any (array[target.id]);
    end if;
    for free in
        with cut as (
            delete from postmill.edges as edge
            using unnest(queues, targets) as target (queue, id)
            where edge.source_queue = _cut_edges.queue and edge.source_id = any (ids)
              and (fate = 'completed' or edge.on_dead = 'skip')
              and edge.target_queue = target.queue and edge.target_id = any (array[target.id])
            returning edge.target_queue, edge.target_id
        ), counted as (
            select cut.target_queue, cut.target_id, count(*) as cuts from cut group by 1, 2
        ), lowered as (
            update postmill.blocked as held set waits = held.waits - counted.cuts
            from counted
            where held.queue_name = counted.target_queue and held.msg_id = any (array[counted.target_id])
            returning held.queue_name, held.msg_id, held.waits
        )
        select lowered.queue_name as queue, array_agg(lowered.msg_id) as ids
        from lowered where lowered.waits <= 0 group by lowered.queue_name
    loop
        perform postmill._open(free.queue, free.ids);
    end loop;
end
$$;
