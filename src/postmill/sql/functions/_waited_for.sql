-- Those of `ids` that messages wait for, in ascending order: an end of this `fate` is to be passed on. Edges of a dead
-- source whose targets wait for its replay are told nothing by its death.
-- Called by release and _note_ended. Takes no locks. Errors: none.
create or replace function postmill._waited_for(queue text, ids bigint[], fate text) returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
    select array(
        select source.id from unnest(ids) as source (id)
        where exists (select from postmill.edges as edge
                      where edge.source_queue = lower(queue) and edge.source_id = source.id
                        and (fate not in ('dead', 'cancelled') or not edge.died)
                      offset 0)  -- a look for each source: a join would read the edges of them all
        order by source.id);
$$;
