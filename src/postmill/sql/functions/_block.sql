-- Writes down which messages each of the new messages `ids` waits for. `after` has one entry a message: a list of
-- 'queue:id', and of '#3' for the third message of the same batch; null where a message waits for none. A message that
-- is there twice in a list counts once. `was_there`: whether the source is in its queue now; one that is gone by the
-- commit and left no trace was then finished in between.
-- What another message of one of these ids has left is removed: another client has dropped the queue and made it anew,
-- and no sweep has come by since. It would wait for the sources of both.
-- Called by _send, which has parked the messages. Runs with the caller's rights. Lock order: such rows of blocked, then
-- of edges; no others before the commit: see _edge_at_commit. Errors: as _check_refs and _check_source.
create or replace function postmill._block(
    queue text, ids bigint[], after jsonb[], due_at timestamptz, on_source_dead text
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    targets bigint[];
    source  record;
    present bigint[];
begin
    perform postmill._check_refs(queue, ids, after);
    select array_agg(ids[wanted.place]) into targets
    from unnest(after) with ordinality as wanted (refs, place) where wanted.refs is not null;
    if exists (select from postmill.blocked as held
               where held.queue_name = lower(queue) and held.msg_id = any (targets))
        or exists (select from postmill.edges as edge
                   where edge.target_queue = lower(queue) and edge.target_id = any (targets))
    then
        delete from postmill.blocked as held where held.queue_name = lower(queue) and held.msg_id = any (targets);
        delete from postmill.edges as edge where edge.target_queue = lower(queue) and edge.target_id = any (targets);
    end if;
    for source in
        select coalesce(ref.source_queue, lower(queue)) as queue,
            array_agg(distinct coalesce(ids[ref.batch_place], ref.source_id)) as ids,
            max(coalesce(ids[ref.batch_place], ref.source_id)) as last, min(ref.source_id) as first
        from postmill._refs(after) as ref group by 1
    loop
        perform postmill._check_source(source.queue, source.last);
        perform postmill._check_source(source.queue, least(source.first, source.last));
        execute format('select array(select msg_id from %s where msg_id = any ($1))',
                       postmill._queue_table(source.queue))
        into present using source.ids::bigint[];
        insert into postmill.edges (source_queue, source_id, target_queue, target_id, on_dead, was_there)
        select source.queue, named.source_id, lower(queue), named.target_id, on_source_dead,
            named.source_id = any (present)
        from (select distinct ids[ref.place] as target_id,
                  coalesce(ids[ref.batch_place], ref.source_id)::bigint as source_id
              from postmill._refs(after) as ref
              where coalesce(ref.source_queue, lower(queue)) = source.queue) as named
        order by named.target_id, named.source_id;
    end loop;
    insert into postmill.blocked (queue_name, msg_id, waits, due_at)
    select lower(queue), edge.target_id, count(*), _block.due_at
    from (select named.target_id
          from (select distinct ids[ref.place] as target_id, coalesce(ref.source_queue, lower(queue)),
                    coalesce(ids[ref.batch_place], ref.source_id)
                from postmill._refs(after) as ref) as named) as edge
    group by edge.target_id order by edge.target_id;
    perform postmill._expect_edges(lower(queue), targets);
end
$$;
