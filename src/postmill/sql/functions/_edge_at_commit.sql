-- Trigger function: when a transaction that has sent messages with sources commits, each source is told that a message
-- waits for it, or, when it has ended, its end is passed on. Rows of sources are locked for the commit only. The first
-- call in a transaction sees to all its edges at once, in order; the others find that done.
-- SECURITY DEFINER: a sender may not write to the private tables of others' messages; _block has asked for the right to
-- write to the source's queue. Locks as _lock_sources and then as _pass_on, which waits for nothing here. Errors: those
-- of the source's table.
create or replace function postmill._edge_at_commit() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    queues text[];
    ids    bigint[];
begin
    if coalesce(current_setting('postmill.edges', true), '') <> '' then
        perform postmill._lock_sources();
        select array_agg(target.target_queue), array_agg(target.target_id) into queues, ids
        from postmill._expected_edges() as target;
        perform set_config('postmill.edges', '', true);
        perform postmill._tell_sources(queues, ids);
    end if;
    if exists (
        select from postmill.edges as edge
        -- As a range, only the primary key can find it. With `=` the planner may take the index of the targets, and
        -- then read all edges of a message that waits for thousands, once for each of them.
        where (edge.source_queue, edge.source_id, edge.target_queue, edge.target_id)
                  >= (new.source_queue, new.source_id, new.target_queue, new.target_id)
          and (edge.source_queue, edge.source_id, edge.target_queue, edge.target_id)
                  <= (new.source_queue, new.source_id, new.target_queue, new.target_id)
          and not edge.told
    ) then
        perform postmill._tell_sources(array[new.target_queue], array[new.target_id]);
    end if;
    return null;
end
$$;
