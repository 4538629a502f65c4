-- Lets messages go that wait for no other message any more. One of a group, or of a queue with limits, waits at its
-- gate from now on; any other is due, or has the time that it was sent for. A message whose time another client has
-- changed keeps that time. A row without the header postmill-after is another message: the queue was made anew. Idle
-- workers are woken.
-- The group's row in groups is made here: claims make those of new messages only, and the row may have been removed
-- while the message waited.
-- A row that is locked is left to the sweep (its waits are 0). Called by _cut_edges and the sweep, which hold the rows
-- in blocked. Lock order: the queue's rows by msg_id, skipping locked; then as _park; new rows of groups in order of
-- their keys; blocked. Errors: those of the table.
create or replace function postmill._open(queue text, ids bigint[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    relation constant regclass := to_regclass(format('pgmq.%I', 'q_' || queue));
    name     constant text := postmill._queue_name_of(queue);
    limited  constant boolean := exists (
        select from postmill.queues as known
        where known.queue_name = name and coalesce(known.max_running, known.starts) is not null);
    opened   bigint[] := '{}';
    gated    bigint[];
    groups   text[];
    ranks    timestamptz[];
    locked   bigint[] := '{}';
begin
    if relation is not null then
        execute format(
            'with mine as materialized (
                 select msg_id from %1$s where msg_id = any ($1) order by msg_id for update skip locked
             ), opened as (
                 update %1$s as queued
                    set headers = nullif(queued.headers - ''postmill-after'', ''{}''),
                        vt = case when queued.vt <> postmill._parked_until() or $3
                                       or postmill._group_of(queued.headers) is not null then queued.vt
                                  else greatest(clock_timestamp(), held.due_at) end
                   from postmill.blocked as held
                  where queued.msg_id = any (array(select msg_id from mine)) and queued.headers ? ''postmill-after''
                    and held.queue_name = $2 and held.msg_id = any (array[queued.msg_id])
                 returning queued.msg_id, queued.vt, queued.headers, held.due_at
             ), gated as (
                 select opened.msg_id, coalesce(postmill._group_of(opened.headers), '''') as key,
                     greatest(clock_timestamp(), opened.due_at) as rank
                 from opened where opened.vt = postmill._parked_until()
             )
             select array(select msg_id from mine), (select array_agg(msg_id) from gated),
                 (select array_agg(key) from gated), (select array_agg(rank) from gated)',
            relation)
        into opened, gated, groups, ranks using ids, queue, limited;
        if gated is not null then
            perform postmill._park(name, gated, groups, ranks);
            perform postmill._add_groups(queue, groups);
        end if;
        if cardinality(opened) < cardinality(ids) then
            execute format(
                'select array(select msg_id from %s where msg_id = any ($1) and msg_id <> all ($2))', relation)
            into locked using ids, opened;
        end if;
    end if;
    delete from postmill.blocked as held
    where held.queue_name = queue and held.msg_id = any (ids) and held.msg_id <> all (locked);
    if opened <> '{}' then
        perform postmill._wake_one(name);
    end if;
end
$$;
