-- Lets what waited for message `old_id` wait for `new_id`, under which its letter was
-- replayed. `patient`: wait for the rows in blocked; else one that is locked is left to the sweep, which finds the
-- letter.
-- Called by replay and _judge_sources. Lock order: blocked by queue_name and msg_id, edges; then as _edge_at_commit.
-- Errors: none of its own.
create or replace function postmill._move_edges(
    queue text, old_id bigint, new_id bigint, patient boolean default false
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    target record;
begin
    for target in
        select waiting.queue_name, array_agg(waiting.msg_id) as ids
        from postmill._lock_targets(queue, array[old_id], patient) as waiting
        group by waiting.queue_name
    loop
        perform postmill._expect_edges(target.queue_name, target.ids);
        with moved as (
            delete from postmill.edges as edge
            where edge.source_queue = queue and edge.source_id = old_id
              and edge.target_queue = target.queue_name and edge.target_id = any (target.ids)
            returning edge.target_id, edge.on_dead
        )
        insert into postmill.edges (source_queue, source_id, target_queue, target_id, on_dead, was_there)
        select queue, new_id, target.queue_name, moved.target_id, moved.on_dead, true from moved
        on conflict do nothing;
    end loop;
end
$$;
