-- Which messages are next in a queue with priorities: the first of each band, and of one plain lane (priority 0), in
-- the order in which they are to be served. One step of priority counts as `priority_aging` of waiting, so nothing
-- waits for ever. Called by: engine claimer, before each claim from such a queue. $1 the queue, $2 and $3 where each
-- band was left off, as times and ids, the band of priority 1 first; of the plain lane (a flag: fast or due) $4 and $5
-- as $1 and $8 of claim.
-- Times are cut to those of this millennium before they are reckoned with: another client may have written any time.
-- `vts` is null where that was needed. Takes no locks. Errors: undefined_table when the queue was dropped.
with clock as materialized (
    select clock_timestamp() as now
)
select (select now from clock) as now,
       array_agg(head.priority order by head.rank, head.priority desc) as priorities,
       array_agg(case when head.vt >= '2000-01-01' then head.vt end order by head.rank, head.priority desc) as vts,
       array_agg(head.msg_id order by head.rank, head.priority desc) as ids
  from (
       select band.priority, first.vt, first.msg_id,
              greatest(first.vt, '2000-01-01') - band.priority * coalesce(
                  (select priority_aging from postmill.queues where queue_name = $1::text), '1 minute') as rank
         from unnest($2::timestamptz[], $3::bigint[]) with ordinality as band (above_vt, above_id, priority)
        cross join lateral (
              select vt, msg_id from {queue}
               where headers ? 'postmill-priority'
                 and (left(headers ->> 'postmill-priority', 1) collate "C", vt, msg_id)
                     > (band.priority::text, band.above_vt, band.above_id)
                 and (left(headers ->> 'postmill-priority', 1) collate "C", vt, msg_id)
                     <= (band.priority::text, (select now from clock), 9223372036854775807)
               order by left(headers ->> 'postmill-priority', 1) collate "C", vt, msg_id limit 1
              ) as first
        union all
       select 0, vt, msg_id, greatest(vt, '2000-01-01')
         from (select vt, msg_id from {queue}
                where msg_id > $4::bigint --? fast
                where vt > $4::timestamptz and msg_id <= $5::bigint --? due
                  and vt <= (select now from clock)
                order by msg_id limit 1 --? fast
                order by vt limit 1 --? due
              ) as first
       ) as head
