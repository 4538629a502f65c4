-- Cancels those of `targets` (each in its queue of `queues`) that are not to run because a source is dead, cancelled,
-- deleted or unknown, and returns them. Their other edges go with them.
-- Called by _pass_on, which has locked the targets' rows in blocked. `follows` as there. Lock order: as _take_blocked,
-- blocked, edges. Errors: as _take_blocked.
create or replace function postmill._cancel_targets(
    queue text, ids bigint[], fate text, queues text[], targets bigint[], follows boolean
) returns table (queue_name text, msg_id bigint, headers jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
#variable_conflict use_column
declare
    doomed record;
begin
    for doomed in
        select target.queue, array_agg(target.id) as ids, array_agg(target.reason) as reasons
        from (select edge.target_queue as queue, edge.target_id as id,
                  format('it waited for %s:%s, which %s', _cancel_targets.queue, abs(min(edge.source_id)),
                         case when min(edge.source_id) < 0 then 'is gone with its queue'  -- see _forget_queue
                         else case fate when 'dead' then 'died' when 'cancelled' then 'was cancelled'
                              when 'deleted' then 'was deleted'
                              else 'is unknown' end end) as reason
              from postmill._edges_between(_cancel_targets.queue, _cancel_targets.ids, queues, targets) as edge
              where edge.on_dead = 'cancel' or (edge.on_dead = 'block' and fate in ('deleted', 'unknown'))
              group by edge.target_queue, edge.target_id) as target
        group by target.queue
    loop
        return query select doomed.queue, taken.msg_id, taken.headers
        from postmill._take_blocked(doomed.queue, doomed.ids, doomed.reasons, follows) as taken;
    end loop;
end
$$;
