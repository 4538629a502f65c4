-- What workers have done lately in each of `queues`, in their order, or in all by name: completed a minute over the
-- last five, and of the last hour how many attempts completed and failed, the share of the failed in percent (null
-- without attempts), how many messages died, and what completed in each five minutes, the last ones last. Workers add
-- what they have done every two seconds. Time is postmill.now().
-- Called by people, the API and dashboards. Takes no locks. Errors: none.
create or replace function postmill.throughput(queues text[] default null)
returns table (
    queue_name text, completed_per_minute float8, failed_percent float8, completed bigint, failed bigint, dead bigint,
    last_hour bigint[]
)
language sql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
    select asked.name,
        parts.completed[12] / (extract(epoch from clock.now - clock.begins)::float8 / 60 - 55),
        100 * whole.failed / nullif(whole.completed + whole.failed, 0)::float8,
        whole.completed, whole.failed, whole.dead, parts.completed
    from (
        select postmill.now() as now, date_trunc('minute', postmill.now(), 'UTC') - interval '59 minutes' as begins
    ) as clock
    cross join unnest(coalesce(queues, array(select meta.queue_name from pgmq.meta as meta order by 1)))
        with ordinality as asked (name, place)
    cross join lateral (
        select coalesce(sum(sums.completed), 0)::bigint as completed, coalesce(sum(sums.failed), 0)::bigint as failed,
            coalesce(sum(sums.dead), 0)::bigint as dead
        from postmill.minutes as sums where sums.queue_name = asked.name and sums.minute >= clock.begins
    ) as whole
    cross join lateral (
        select array_agg(coalesce(part.completed, 0) order by place.number) as completed
        from generate_series(0, 11) as place (number)
        left join (
            select floor(extract(epoch from sums.minute - clock.begins) / 300)::integer as number,
                sum(sums.completed)::bigint as completed
            from postmill.minutes as sums
            where sums.queue_name = asked.name and sums.minute >= clock.begins
            group by 1
        ) as part using (number)
    ) as parts
    order by asked.place;
$$;
