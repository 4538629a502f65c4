-- Passes the end of messages on to those that wait for them. A message whose sources have all ended is opened. When a
-- source is dead, cancelled, deleted or unknown, its edge says what becomes of the message: it is cancelled, and then
-- so is what waits for it in turn; or it does not wait for this source any more; or it waits for the letter's replay (a
-- deleted or unknown source has no letter, and cancels it too). What is left, because of a lock or because it is more
-- than 1,000 edges, is written to postmill.ended for the sweep.
-- `patient`: wait for the rows of those that wait directly. `follows`: cancel also messages that send another one then
-- (else_send); without it, when the caller acts for another role, they are left to the sweep. Returns the cancelled
-- messages.
-- Called by _release, _judge_sources and the sweep. Lock order: blocked by queue_name and msg_id, never waiting beyond
-- the first step; edges; queue rows and gates without waiting; cancellations. Errors: those of a target's table.
create or replace function postmill._pass_on(
    queue text, ids bigint[], fate text, patient boolean default false, follows boolean default true
) returns table (queue_name text, msg_id bigint, headers jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    open_queues  text[] := array_fill(lower(queue), array[cardinality(ids)]);  -- sources whose end is to be passed on
    open_ids     bigint[] := ids;
    source_queue text;
    source_ids   bigint[];
    source_fate  text := fate;
    waits        boolean := patient;
    left_over    integer := 1000;
    queues       text[];
    targets      bigint[];
begin
    while open_ids <> '{}' and left_over > 0 loop
        source_queue := open_queues[1];
        select array_agg(source.id) filter (where source.queue = source_queue),
               coalesce(array_agg(source.id) filter (where source.queue <> source_queue), '{}')
        into source_ids, open_ids
        from unnest(open_queues, open_ids) as source (queue, id);
        open_queues := array_remove(open_queues, source_queue);
        select array_agg(locked.queue_name), array_agg(locked.msg_id) into queues, targets
        from postmill._lock_targets(
            source_queue, source_ids, waits, source_fate not in ('dead', 'cancelled'), left_over) as locked;
        left_over := left_over - coalesce(cardinality(targets), 0);
        perform postmill._cut_edges(source_queue, source_ids, source_fate, queues, targets);
        if source_fate <> 'completed' then
            for queue_name, msg_id, headers in
                select * from postmill._cancel_targets(source_queue, source_ids, source_fate, queues, targets, follows)
            loop
                return next;
                if headers ? 'postmill-dependents' then
                    open_queues := open_queues || lower(queue_name);
                    open_ids := open_ids || msg_id;
                end if;
            end loop;
        end if;
        perform postmill._note_ended(source_queue, source_ids, source_fate);
        source_fate := 'cancelled';
        waits := false;
    end loop;
    perform postmill._note_ended(left_open.queue, array[left_open.id], 'cancelled')
    from unnest(open_queues, open_ids) as left_open (queue, id);
end
$$;
