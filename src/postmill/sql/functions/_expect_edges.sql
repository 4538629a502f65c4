-- Remembers, for this transaction, that messages of a queue have new edges: at commit their sources are locked together
-- and in order. A setting of the transaction: it is undone with a savepoint, as the edges are. It is only needed for
-- the order: without it each edge is seen to by itself.
-- Called by _block and _move_edges. Takes no locks. Errors: none.
create or replace function postmill._expect_edges(queue text, ids bigint[]) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select set_config(
        'postmill.edges',
        concat_ws(',', nullif(current_setting('postmill.edges', true), ''),
                  json_build_array(queue, to_json(ids))::text),
        true)
    where ids <> '{}';
$$;
