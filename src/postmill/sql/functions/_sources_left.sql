-- What a blocked message waits for, in words: the messages that it was sent to run after, those among them that are
-- dead and have to be replayed, and those that were cancelled, of which no replay comes. Null when the message is not
-- blocked.
-- Called by _waits_for and why. Looks at no more than 1,001 sources. Takes no locks. Errors: none.
create or replace function postmill._sources_left(queue text, msg_id bigint) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with source as materialized (
        select edge.source_queue, edge.source_id,
            case when not edge.died then 'to come'
                 when exists (select from postmill.cancellations as ended
                              where ended.queue_name = edge.source_queue and ended.msg_id = edge.source_id)
                 then 'cancelled' else 'dead' end as fate
        from postmill.edges as edge
        where edge.target_queue = lower(queue) and edge.target_id = _sources_left.msg_id
        limit 1001
    ), named as (
        select fate, string_agg(
            postmill._listed(ids) || ' of queue ' || source_queue, ' and ' order by source_queue) as sources
        from (select source_queue, fate, array_agg(abs(source_id) order by source_id) as ids
              from source group by source_queue, fate) as by_queue
        group by fate
    )
    select case
        when held_up.waits <= 0 then 'all that it waited for has ended: it starts within seconds'
        else coalesce(
            nullif(concat_ws('; ',
                (select 'waits for ' || sources from named where fate = 'to come'),
                (select 'waits for the replay of ' || sources || ', which died' from named where fate = 'dead'),
                (select 'waits in vain for ' || sources || ', which was cancelled: cancel or release it'
                 from named where fate = 'cancelled')), ''),
            'waits for ' || held_up.waits || ' other messages')
    end
    from postmill.blocked as held_up
    where held_up.queue_name = lower(queue) and held_up.msg_id = _sources_left.msg_id;
$$;
