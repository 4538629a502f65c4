-- Removes what messages that were purged waited for, and tells those that wait for them: they will not run.
-- Called by purge_queue, once it has deleted the messages. Lock order: blocked, edges; then as _release. Errors: none.
create or replace function postmill._purged(queue text, ids bigint[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from postmill.blocked as held where held.queue_name = lower(queue) and held.msg_id = any (ids);
    delete from postmill.edges as edge where edge.target_queue = lower(queue) and edge.target_id = any (ids);
    perform postmill._release(queue, array(
        select distinct edge.source_id from postmill.edges as edge
        where edge.source_queue = lower(queue) and edge.source_id = any (ids) order by 1), 'deleted');
end
$$;
