-- Why each of these messages of a queue does not run yet, in words, the first of: the messages that it was sent to run
-- after; its time; the queue's pause; the limits of its group and of its queue; that no worker is there; the messages
-- before it in its group; that all slots are taken. Null where nothing is known to be in its way. `ids`: messages that
-- do not run.
-- What holds for a queue is read once, a group once, so a page of 100 takes some milliseconds however many wait.
-- Called by messages. Takes no locks. Errors: PM001.
create or replace function postmill._waits_for(queue text, ids bigint[])
returns table (msg_id bigint, waits_for text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    paused text;
    absent text;
    busy   text;
begin
    if ids is null then
        return;
    end if;
    select max(held.said) filter (where held.cause = 'paused'),
        max(held.said) filter (where held.cause in ('no_worker', 'draining')),
        max(held.said) filter (where held.cause = 'slots_taken')
    into paused, absent, busy
    from postmill._queue_held_up(queue) as held;
    return query execute format(
        'with asked as materialized (
             select queued.msg_id, queued.read_ct, queued.enqueued_at, queued.vt,
                 case when gate.claim_id is null then gate.group_key end as group_key, gate.rank,
                 (to_jsonb(queued) ->> ''last_read_at'')::timestamptz as last_read_at
             from unnest($2) as asked (msg_id)
             join %s as queued using (msg_id)
             left join lateral (
                 select * from postmill.gates as gate
                 where gate.queue_name = lower($1) and gate.msg_id = queued.msg_id offset 0
             ) as gate on true
         ), reached as materialized (
             select found.group_key, limited.said as of_group
             from (select distinct asked.group_key from asked where asked.group_key is not null
                   union select '''' from asked where asked.group_key is not null) as found
             cross join lateral postmill._limit_reached($1, found.group_key) as limited
         )
         select asked.msg_id, coalesce(
             postmill._sources_left($1, asked.msg_id),
             (postmill._time_to_come(
                 $1, asked.msg_id, asked.read_ct, asked.enqueued_at, asked.last_read_at,
                 case when asked.vt = postmill._parked_until() then coalesce(asked.rank, asked.vt)
                      else asked.vt end)).said,
             $3,
             (select of_group from reached where reached.group_key = asked.group_key),
             (select of_group from reached where reached.group_key = '''' and asked.group_key is not null),
             $4,
             postmill._before_in_group($1, asked.msg_id, asked.group_key, asked.rank),
             $5)
         from asked',
        postmill._queue_table(queue))
    using queue, ids, paused, absent, busy;
end
$$;
