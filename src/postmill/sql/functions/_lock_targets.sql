-- Locks what waits for messages: the rows in blocked, in order of queue and id, of at most `most` edges. Returns the
-- messages whose row is locked now, and those that have none (they do not wait any more). `patient`: wait for each
-- lock; else rows that are locked are left out. Edges of a source that died, and whose targets wait for its replay, are
-- left out unless `with_died`.
-- Called by _pass_on and _move_edges. Lock order: blocked by queue_name and msg_id. Errors: none.
create or replace function postmill._lock_targets(
    queue text, ids bigint[], patient boolean, with_died boolean default true, most integer default 1000
) returns table (queue_name text, msg_id bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    target record;
    locked boolean;
begin
    for target in
        select distinct edge.target_queue, edge.target_id
        from (select e.target_queue, e.target_id from postmill.edges as e
              where e.source_queue = queue and e.source_id = any (ids) and (with_died or not e.died) limit most) as edge
        order by edge.target_queue, edge.target_id
    loop
        if patient then
            perform from postmill.blocked as held
            where held.queue_name = target.target_queue and held.msg_id = target.target_id for update;
            locked := true;
        else
            perform from postmill.blocked as held
            where held.queue_name = target.target_queue and held.msg_id = target.target_id for update skip locked;
            locked := found or not exists (
                select from postmill.blocked as held
                where held.queue_name = target.target_queue and held.msg_id = target.target_id);
        end if;
        if locked then
            queue_name := target.target_queue;
            msg_id := target.target_id;
            return next;
        end if;
    end loop;
end
$$;
