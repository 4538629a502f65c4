-- Adds a page of a queue's failed attempts, at most `page` with ids above `start`, to the hours of their errors, and
-- deletes hours that are older than 30 days, at most 1,000 rows. Attempts of the last minute wait, and those of the
-- last hour that were recorded after a transaction began which is open and records attempts: one of it may have a
-- lower id, and would never be counted. What a transaction of more than an hour has recorded may be missed. An hour
-- that has 1,000 errors gets no further ones. Returns the last id that was counted, which the caller writes down in
-- the same transaction: so each attempt counts once, however often this ends midway. Time is postmill.now().
-- Called by prune, before failures are deleted. Locks: the hours' rows. Errors: none.
create or replace function postmill._count_errors(
    queue text, page integer, inout start bigint, out more boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    most    constant integer := 1000;
    horizon constant timestamptz := postmill.now() - interval '1 minute';
    waited  constant timestamptz := postmill.now() - interval '1 hour';
    oldest  constant timestamptz := date_trunc('hour', postmill.now() - interval '30 days', 'UTC');
    reached bigint;
    looked  bigint;
begin
    select max(next.failure_id), count(*) into reached, looked
    from (
        select failed.failure_id, bool_and(failed.failed_at < horizon and (
            failed.failed_at < waited
            or coalesce(failed.transactions > (select postmill._oldest_writer('postmill.failures')), true)
        )) over (order by failed.failure_id) as is_old
        from (select one.failure_id, one.failed_at, age(one.xmin) as transactions from postmill.failures as one
              where one.queue_name = queue and one.failure_id > start
              order by one.failure_id limit page) as failed
    ) as next
    where next.is_old;
    insert into postmill.error_hours as known (queue_name, hour, fingerprint, failures)
    select queue, seen.hour, seen.fingerprint, seen.failures
    from (
        select date_trunc('hour', failed.failed_at, 'UTC') as hour, failed.fingerprint, count(*) as failures
        from postmill.failures as failed
        where failed.queue_name = queue and failed.failure_id > start and failed.failure_id <= reached
          and failed.fingerprint is not null and failed.failed_at >= oldest
        group by 1, 2
    ) as seen
    where exists (select from postmill.error_hours as its
                  where its.queue_name = queue and its.hour = seen.hour and its.fingerprint = seen.fingerprint)
       or (select count(*) from (select from postmill.error_hours as its
                                 where its.queue_name = queue and its.hour = seen.hour limit most) as full_one) < most
    order by seen.hour, seen.fingerprint
    on conflict on constraint error_hours_pkey do update set failures = known.failures + excluded.failures;
    delete from postmill.error_hours where (queue_name, hour, fingerprint) in (
        select old.queue_name, old.hour, old.fingerprint from postmill.error_hours as old
        where old.queue_name = queue and old.hour < oldest order by old.hour limit most);
    start := coalesce(reached, start);
    more := looked = page;
end
$$;
