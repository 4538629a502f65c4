-- The limits of queues and groups, and how they stand. `group_key`: '' is the whole queue, null each group that has no
-- limits of its own; then a row a group that has some, or whose messages wait, of these the first 1,000 of a queue in
-- order of keys. A group's limits are those that hold for it. `running` and `waiting` count messages, up to 10,000.
-- `running` is null while messages run that are not counted: nothing limits how many run at once in that queue, or did
-- when they began. `next_start_at` is null when a start is allowed now.
create or replace view postmill.limits as
select limits.queue_name, limits.group_key, limits.max_running, limits.starts, limits.per,
       case
           when exists (select from postmill.claims as uncounted
                        where uncounted.queue_name = limits.queue_name and uncounted.without_places) then null
           when limits.group_key = '' then (select count(*) from (
               select from postmill.gates as held
               where held.queue_name = lower(limits.queue_name) and held.claim_id is not null limit 10000) as few)
           else (select count(*) from (
               select from postmill.gates as held
               where held.queue_name = lower(limits.queue_name) and held.group_key = limits.group_key
                 and held.claim_id is not null limit 10000) as few)
       end as running,
       case limits.group_key
           when '' then (select count(*) from (
               select from postmill.gates as parked
               where parked.queue_name = lower(limits.queue_name) and parked.claim_id is null limit 10000) as few)
           else (select count(*) from (
               select from postmill.gates as parked
               where parked.queue_name = lower(limits.queue_name) and parked.group_key = limits.group_key
                 and parked.claim_id is null limit 10000) as few)
       end as waiting,
       nullif(greatest(next_start.again_at, next_start.moment), next_start.moment) as next_start_at
from (
    select q.queue_name, '' as group_key, q.max_running, q.starts, q.per
    from postmill.queues as q
    where q.max_running is not null or q.starts is not null
    union all
    select q.queue_name, null, q.group_max_running, q.group_starts, q.group_per
    from postmill.queues as q
    where q.group_max_running is not null or q.group_starts is not null
    union all
    select q.queue_name, g.group_key, coalesce(g.max_running, q.group_max_running),
           coalesce(g.starts, q.group_starts), case when g.starts is null then q.group_per else g.per end
    from postmill.queues as q
    cross join lateral (
        with recursive waiting as (
            (select w.group_key from postmill.gates as w
             where w.queue_name = lower(q.queue_name) and w.claim_id is null and w.group_key > ''
             order by w.group_key limit 1)
            union all
            select (select w.group_key from postmill.gates as w
                    where w.queue_name = lower(q.queue_name) and w.claim_id is null and w.group_key > waiting.group_key
                    order by w.group_key limit 1)
            from waiting
            where waiting.group_key is not null
        )
        select known.group_key, own.max_running, own.starts, own.per
        from (
            (select waiting.group_key from waiting where waiting.group_key is not null limit 1000)
            union
            (select g.group_key from postmill.groups as g
             where g.queue_name = lower(q.queue_name) and g.group_key > ''
               and (g.max_running is not null or g.starts is not null)
             order by g.group_key limit 1000)
        ) as known
        left join postmill.groups as own on own.queue_name = lower(q.queue_name) and own.group_key = known.group_key
    ) as g
) as limits
left join postmill.groups as mutex
       on mutex.queue_name = lower(limits.queue_name) and mutex.group_key = limits.group_key
left join lateral (
    select clock.moment, allowed.again_at
    from (select clock_timestamp() as moment) as clock  -- without a rate, or before the first claim, no row follows
    cross join lateral postmill._allowed_starts(
        mutex.recent, mutex.tat, clock.moment, 0, limits.starts, limits.per) as allowed
) as next_start on true;
