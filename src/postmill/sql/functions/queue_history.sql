-- What a queue has done and how full it was, over the last `span`, at most 30 days: one row a minute up to six hours,
-- else one an hour, the oldest first and the present one last. `started`: messages whose first attempt has ended;
-- `failed`: attempts; `dead`: messages that became dead letters; `ran_ms`: of all that completed or failed;
-- `waited_ms`: of those started, from sending until they were claimed. Then how many messages were in which state,
-- when it was last looked at by the end of that time; null where no process looked. Workers add what they have done
-- every two seconds. Time is postmill.now().
-- Called by people, the API and dashboards. Takes no locks. Errors: PM001 no such queue.
create or replace function postmill.queue_history(queue text, span interval default '1 hour')
returns table (
    at timestamptz, started bigint, completed bigint, failed bigint, dead bigint, ran_ms bigint, waited_ms bigint,
    ready bigint, running bigint, retrying bigint, scheduled bigint, waiting bigint, dead_letters bigint
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
    whole  constant interval := least(span, interval '30 days');
    unit   constant text := case when whole <= interval '6 hours' then 'minute' else 'hour' end;
    step   constant interval := ('1 ' || unit)::interval;
    ends   constant timestamptz := date_trunc(unit, postmill.now(), 'UTC');
    begins constant timestamptz := ends - whole + step;
begin
    perform postmill._named_table(queue);
    return query
    with sums as materialized (
        select date_trunc(unit, minute, 'UTC') as at, sum(started)::bigint as started,
            sum(completed)::bigint as completed, sum(failed)::bigint as failed, sum(dead)::bigint as dead,
            sum(ran_ms)::bigint as ran_ms, sum(waited_ms)::bigint as waited_ms
        from postmill.minutes
        where queue_name = queue and minute >= begins
        group by 1
    )
    select times.at, coalesce(sums.started, 0), coalesce(sums.completed, 0), coalesce(sums.failed, 0),
        coalesce(sums.dead, 0), coalesce(sums.ran_ms, 0), coalesce(sums.waited_ms, 0),
        known.ready, known.running, known.retrying, known.scheduled, known.waiting, known.dead
    from generate_series(begins, ends, step) as times (at)
    left join sums on sums.at = times.at
    left join lateral (
        select * from postmill.queue_samples as sample
        where sample.queue_name = queue and sample.at < times.at + step order by sample.at desc limit 1
    ) as known
        -- Of an older one only that the queue was empty can be said: that is noted once.
        on known.at >= times.at
        or known.ready + known.running + known.retrying + known.scheduled + known.waiting + known.dead = 0
    order by times.at;
end
$$;
