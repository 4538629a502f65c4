-- Mends the gates of a queue where something has happened that no worker of ours has seen. A place in a group whose
-- claim is gone is free. A gate is removed when its message is gone: another client has deleted it, or dropped the
-- queue. A parked message that waits for nothing gets a gate. See _tidy_groups for the groups. Does nothing within
-- three seconds of the last time.
-- Of long lists it looks at `max_rows` from a random place on, so that each is reached in time.
-- Called by workers of queues that have gates, every second or two; anyone may. Returns how many places were freed, and
-- how many gates removed or made; null when it was not the time.
-- Lock order: an advisory lock of this queue (never waiting for it), the queue's table (ROW EXCLUSIVE, so that a worker
-- sees that ranks are being written), gates (skipping locked ones), groups (skipping locked ones, new ones in order of
-- their keys), the queue's row in queues (skipping a locked one). Errors: none of its own.
create or replace function postmill.sweep_gates(
    queue text, max_rows integer default 1000, out freed bigint, out removed bigint, out made bigint
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_mergejoin = off
as $$
declare
    name     constant text := lower(queue);
    relation constant regclass := to_regclass(format('pgmq.%I', 'q_' || name));
begin
    if not exists (select from postmill.queues as known
                   where known.queue_name = queue and known.gates_swept_at < clock_timestamp() - interval '3 seconds')
       or not pg_try_advisory_xact_lock(hashtext('postmill.sweep_gates'), hashtext(queue)) then
        return;
    end if;
    if relation is null then
        delete from postmill.gates as gate where gate.queue_name = name and gate.msg_id = any (array(
            select g.msg_id from postmill.gates as g where g.queue_name = name order by g.msg_id limit max_rows));
        get diagnostics removed = row_count;
        freed := 0;
        made := 0;
    else
        execute format('lock table %s in row exclusive mode', relation);
        freed := postmill._free_places(queue, max_rows);
        removed := postmill._remove_gates(name, relation, max_rows);
        made := postmill._make_gates(name, relation, max_rows);
        perform postmill._tidy_groups(queue, postmill._any_group(name), max_rows);
        if freed + made > 0 then
            perform pg_notify(('postmill.' || queue)::name::text, '');
        end if;
    end if;
    -- Last: workers that write down their position wait for this row.
    update postmill.queues as known set gates_swept_at = clock_timestamp()
    where known.queue_name = (select q.queue_name from postmill.queues as q where q.queue_name = queue
                                 for update skip locked);
end
$$;
