-- The messages that a blocked message waits for, the first ten, for programs.
-- Called by _causes. Takes no locks. Errors: none.
create or replace function postmill._sources(queue text, msg_id bigint) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('sources', jsonb_agg(jsonb_build_object(
        'queue', source.source_queue, 'msg_id', source.source_id, 'died', source.died)))
    from (
        select edge.source_queue, edge.source_id, edge.died
        from postmill.edges as edge
        where edge.target_queue = lower(_sources.queue) and edge.target_id = _sources.msg_id
        order by edge.source_queue, edge.source_id limit 10
    ) as source;
$$;
