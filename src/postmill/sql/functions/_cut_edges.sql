-- Takes away the edges between ended sources and messages that need not wait for them any more, and opens those
-- messages that wait for nothing else. Where a message waits for a replay of a dead source, its edge is marked.
-- Called by _pass_on, which has locked the targets' rows in blocked. Lock order: edges, blocked; then as _open. Errors:
-- as _open.
create or replace function postmill._cut_edges(
    queue text, ids bigint[], fate text, queues text[], targets bigint[]
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    free record;
begin
    if fate in ('dead', 'cancelled') then
        update postmill.edges as edge set died = true
        where edge.ctid = any (array(
            select found.at from postmill._edges_between(queue, ids, queues, targets) as found
            where found.on_dead = 'block'));
    end if;
    for free in
        with cut as (
            delete from postmill.edges as edge
            where edge.ctid = any (array(
                select found.at from postmill._edges_between(queue, ids, queues, targets) as found
                where fate = 'completed' or found.on_dead = 'skip'))
            returning edge.target_queue, edge.target_id
        ), counted as (
            select cut.target_queue, cut.target_id, count(*) as cuts from cut group by 1, 2
        ), lowered as (
            update postmill.blocked as held set waits = held.waits - mine.cuts
            from (select place.at, counted.cuts
                  from counted cross join lateral (
                      select row.ctid as at from postmill.blocked as row
                      where row.queue_name = counted.target_queue and row.msg_id = counted.target_id offset 0) as place
                 ) as mine
            where held.ctid = mine.at
            returning held.queue_name, held.msg_id, held.waits
        )
        select lowered.queue_name as queue, array_agg(lowered.msg_id) as ids
        from lowered where lowered.waits <= 0 group by lowered.queue_name
    loop
        perform postmill._open(free.queue, free.ids);
    end loop;
end
$$;
