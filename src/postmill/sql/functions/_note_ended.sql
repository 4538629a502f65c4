-- Writes down that messages ended, as long as edges are left of them: the sweep passes that on. Edges of a dead source
-- whose targets wait for its replay are not left, they stay.
-- Called by _pass_on and release. Locks: new rows of ended. Errors: none.
create or replace function postmill._note_ended(queue text, ids bigint[], fate text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
    insert into postmill.ended (queue_name, msg_id, fate)
    select lower(queue), source.id, fate
    from unnest(ids) as source (id)
    where exists (select from postmill.edges as edge
                  where edge.source_queue = lower(queue) and edge.source_id = source.id
                    and (fate in ('completed', 'unknown') or not edge.died)
                  offset 0)  -- a look for each source: a join would read the edges of them all
    order by source.id
    on conflict do nothing;
$$;
