-- Takes messages that wait for others out of their queue, into postmill.cancellations, and returns them. One that a
-- worker of ours runs all the same (its time was changed by another client) is asked to stop. `reasons`: one each.
-- Rows of messages that are not there any more, or are other ones (without the header postmill-after), are tidied away.
-- Messages whose row is locked are left, and without `follows` those that send another message then.
-- Called by _cancel_targets, which holds the rows in blocked. Lock order: the queue's rows by msg_id, skipping locked;
-- cancellations, blocked, edges. Errors: those of the table.
create or replace function postmill._take_blocked(queue text, ids bigint[], reasons text[], follows boolean)
returns table (msg_id bigint, headers jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
#variable_conflict use_column
declare
    relation constant regclass := to_regclass(format('pgmq.%I', 'q_' || queue));
    name     constant text := postmill._queue_name_of(queue);
    kept     bigint[] := '{}';
    mine     bigint[] := '{}';
    running  bigint[];
    asked    bigint;
begin
    if relation is not null then
        execute format(
            'select array(select msg_id from %s where msg_id = any ($1) and headers ? ''postmill-after''
                             and ($2 or not headers ? ''postmill-else'')
                           order by msg_id for update skip locked)', relation)
        into mine using ids, follows;
        execute format('select array(select msg_id from %s where msg_id = any ($1) and msg_id <> all ($2)
                                        and headers ? ''postmill-after'')', relation)
        into kept using ids, mine;
        running := postmill._running(name, mine);
        foreach asked in array running loop
            perform postmill._ask_to_stop(name, asked, reasons[array_position(ids, asked)]);
        end loop;
        return query execute format(
            'with gone as (
                 delete from %s as queued where msg_id = any ($2) and msg_id <> all ($3)
                 returning $1 as queue_name, msg_id, message, headers, enqueued_at,
                     ($4)[array_position($5, msg_id)] as reason
             ), noted as (
--+ cancelled_messages
             )
             select gone.msg_id, gone.headers from gone',
            relation)
        using name, mine, running, reasons, ids;
        perform postmill._tell_waiters(name, ids);
    end if;
    delete from postmill.blocked as held
    where held.queue_name = queue and held.msg_id = any (ids) and held.msg_id <> all (kept);
    delete from postmill.edges as edge
    where edge.target_queue = queue and edge.target_id = any (ids) and edge.target_id <> all (kept);
end
$$;
