-- Of the messages `ids`, waiting in the groups `of_keys`, those that the rates allow to start now: `granted` and their
-- groups. `again_at`: when the next one may start, where a rate has held one back. Which of the messages can be had is
-- found out before (`missed`: those that can't), and which fit into about `max_bytes` (`cut_short`: not all of them): a
-- start that is granted and not used would be lost. The rate of the whole queue has been asked before (_room_in_queue),
-- and what starts is only written down there.
-- Called by claim_gated, which holds the rows of `locked`, and that of the queue, in groups. Lock order: queue rows in
-- the order of `ids` (skipping locked ones), then as _grant_starts. Errors: none.
create or replace function postmill._start_gated(
    queue text, relation regclass, limits postmill.queues, ids bigint[], of_keys text[], max_bytes integer,
    locked text[], starts integer[], periods interval[], has_headers boolean,
    out granted bigint[], out granted_keys text[], out again_at timestamptz, out missed bigint[], out cut_short boolean
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    had_ids bigint[];
begin
    execute format(
        'select array_agg(had.msg_id order by had.place),
                array_agg(had.msg_id order by had.place) filter (where had.bytes_before < $3),
                array_agg(had.key order by had.place) filter (where had.bytes_before < $3)
         from (select free.msg_id, free.key, free.place,
                      sum(free.stored) over (order by free.place) - free.stored as bytes_before
               from (select wanted.msg_id, wanted.key, wanted.place, q.stored
                     from unnest($1, $2) with ordinality as wanted (msg_id, key, place)
                     cross join lateral (
                         select coalesce(pg_column_size(q.message), 0) as stored from %1$s as q
                         where q.msg_id = wanted.msg_id and q.vt is not distinct from postmill._parked_until()
                           and %2$s = wanted.key
                           for update skip locked) as q) as free) as had',
        relation,
        case when has_headers then 'coalesce(left(q.headers ->> ''postmill-group'', 200), '''')' else '''''' end)
    into had_ids, granted, granted_keys using ids, of_keys, max_bytes;
    missed := array(select unnest(ids) except select unnest(had_ids));
    cut_short := coalesce(cardinality(granted) < cardinality(had_ids), false);
    with rate as materialized (
        select had.key, had.count, allowed.granted, allowed.again_at
        from (select had.key, count(*)::integer as count from unnest(granted_keys) as had (key) group by had.key) as had
        join unnest(locked, starts, periods) as known (key, starts, per) on known.key = had.key
        cross join lateral postmill._grant_starts(queue, had.key, had.count, known.starts, known.per) as allowed
        where known.starts is not null
    )
    select array_agg(had.msg_id order by had.place), array_agg(had.key order by had.place),
           (select min(rate.again_at) from rate where rate.granted < rate.count)
    into granted, granted_keys, again_at
    from (select h.msg_id, h.key, h.place, row_number() over (partition by h.key order by h.place) as turn
          from unnest(granted, granted_keys) with ordinality as h (msg_id, key, place)) as had
    left join rate on rate.key = had.key
    where rate.key is null or had.turn <= rate.granted;
    if limits.starts is not null and granted is not null then
        perform postmill._grant_starts(queue, '', cardinality(granted), limits.starts, limits.per);
    end if;
end
$$;
