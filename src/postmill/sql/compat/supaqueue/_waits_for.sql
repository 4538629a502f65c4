-- Whether a message waits for another one, directly or through others.
-- Called by _add_dependency, which lets no other edge come between. Takes no locks. Errors: none.
create or replace function supaqueue._waits_for(queue text, msg_id bigint, source_queue text, source_id bigint)
returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with recursive source (queue, msg_id) as (
        select lower(_waits_for.queue) collate "C", _waits_for.msg_id
        union
        select edge.source_queue, edge.source_id
        from source
        join postmill.edges as edge on edge.target_queue = source.queue and edge.target_id = source.msg_id
    )
    select exists (select from source
                   where source.queue = lower(_waits_for.source_queue) and source.msg_id = _waits_for.source_id);
$$;
revoke execute on function supaqueue._waits_for from public;
comment on function supaqueue._waits_for is 'Facade supaqueue of Postmill: whether a message waits for another one.';
