-- How many attempts have failed by one error in each hour of the last `span`, at most 30 days, the oldest first and the
-- present hour last; also in hours whose failures are deleted. What pruning has not counted yet is counted here, the
-- last 10,000 failures at most. Time is postmill.now().
-- Called by people, the API and dashboards. Takes no locks. Errors: none; of an unknown error every hour has 0.
create or replace function postmill.error_history(error text, span interval default '7 days')
returns table (at timestamptz, failures bigint)
language sql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
    with hours as materialized (
        select at from generate_series(
            date_trunc('hour', postmill.now(), 'UTC') - least(span, interval '30 days') + interval '1 hour',
            date_trunc('hour', postmill.now(), 'UTC'), interval '1 hour') as at
    ), fresh as materialized (
        select date_trunc('hour', latest.failed_at, 'UTC') as hour, count(*) as failures
        from (select failed.failed_at, failed.queue_name, failed.failure_id from postmill.failures as failed
              where failed.fingerprint = error order by failed.failure_id desc limit 10000) as latest
        left join postmill.prunings as counted on counted.queue_name = latest.queue_name
        where latest.failure_id > coalesce(counted.counted_failure, 0)
        group by 1
    ), kept as materialized (
        select known.hour, sum(known.failures)::bigint as failures
        from postmill.error_hours as known
        where known.fingerprint = error and known.hour >= (select min(hours.at) from hours)
        group by 1
    )
    select hours.at, coalesce(fresh.failures, 0) + coalesce(kept.failures, 0)
    from hours
    left join fresh on fresh.hour = hours.at
    left join kept on kept.hour = hours.at
    order by hours.at;
$$;
