-- The edges to messages, each in its queue of `queues`, and where their rows lie (`at`; a row whose target the caller
-- has locked in blocked stays there). One look into the index for each message, whatever statistics say.
-- Called by _lock_sources, _tell_sources and _edges_between. Takes no locks. Errors: none.
create or replace function postmill._edges_to(queues text[], ids bigint[])
returns table (
    at tid, source_queue text, source_id bigint, target_queue text, target_id bigint, on_dead text, told boolean,
    was_there boolean
)
language sql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
    select edge.*
    from unnest(queues, ids) as target (queue, id)
    cross join lateral (
        select found.ctid, found.source_queue, found.source_id, found.target_queue, found.target_id, found.on_dead,
            found.told, found.was_there
        from postmill.edges as found
        where found.target_queue = target.queue and found.target_id = target.id offset 0
    ) as edge;
$$;
