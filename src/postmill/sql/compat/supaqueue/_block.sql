-- Writes down that a job waits for another one: in place of its gate it has a row in blocked, with the same moment,
-- and an edge. As postmill._block does for a message that is sent.
-- Called by _add_dependency, which holds the target's rows. Lock order: gates, blocked; the source's row at commit, see
-- _edge_at_commit. Errors: none of its own.
create or replace function supaqueue._block(source supaqueue._known_job, target supaqueue._known_job) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    relation constant regclass := postmill._queue_table(source.queue_name);
    due_at   timestamptz;
    is_there boolean;
begin
    execute format(
        'update %s as queued
         set vt = postmill._parked_until(), headers = coalesce(headers, ''{}'') || ''{"postmill-after": true}''
         where msg_id = $1', postmill._queue_table(target.queue_name)) using target.msg_id;
    delete from postmill.gates as gate
    where gate.queue_name = lower(target.queue_name) and gate.msg_id = target.msg_id returning gate.rank into due_at;
    insert into postmill.blocked as held (queue_name, msg_id, waits, due_at)
    values (lower(target.queue_name), target.msg_id, 1, coalesce(due_at, clock_timestamp()))
    on conflict (queue_name, msg_id) do update set waits = held.waits + 1;
    execute format('select exists (select from %s where msg_id = $1)', relation) into is_there using source.msg_id;
    insert into postmill.edges (source_queue, source_id, target_queue, target_id, on_dead, was_there)
    values (lower(source.queue_name), source.msg_id, lower(target.queue_name), target.msg_id, 'block', is_there);
    perform postmill._expect_edges(lower(target.queue_name), array[target.msg_id]);
end
$$;
revoke execute on function supaqueue._block from public;
comment on function supaqueue._block is 'Facade supaqueue of Postmill: writes down that a job waits for another one.';
