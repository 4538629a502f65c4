-- Makes the history of a queue coarser once it is six hours old, six hours' worth in one call: the sums of each hour
-- become one row, and the last sample of each hour is left. What is older than 30 days is deleted, at most 1,000 rows
-- of each kind. `folded_to` is where the last call has ended; returns where this one has. Looks at nothing before the
-- next hour is due. Time is postmill.now().
-- Called by prune. Locks: rows of minutes, then of queue_samples, which only workers with a clock of hours ago would
-- want. Errors: none of its own.
create or replace function postmill._fold_history(queue text, folded_to timestamptz) returns timestamptz
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    most    constant integer := 1000;
    span    constant interval := interval '6 hours';
    horizon constant timestamptz := date_trunc('hour', postmill.now() - interval '6 hours', 'UTC');
    oldest  constant timestamptz := date_trunc('hour', postmill.now() - interval '30 days', 'UTC');
    begins  timestamptz;
    ends    timestamptz;
begin
    if folded_to >= horizon then
        return folded_to;
    end if;
    begins := date_trunc('hour', least(
        (select min(sums.minute) from postmill.minutes as sums
         where sums.queue_name = queue and sums.minute >= folded_to),
        (select min(sample.at) from postmill.queue_samples as sample
         where sample.queue_name = queue and sample.at >= folded_to)), 'UTC');
    ends := least(horizon, begins + span);  -- without anything to fold: the horizon
    with taken as (
        delete from postmill.minutes as sums
        where sums.queue_name = queue and sums.minute >= begins and sums.minute < ends
        returning *
    )
    insert into postmill.minutes (minute, queue_name, slot, started, completed, failed, dead, ran_ms, waited_ms)
    select date_trunc('hour', taken.minute, 'UTC') as hour, queue, 0, sum(taken.started), sum(taken.completed),
        sum(taken.failed), sum(taken.dead), sum(taken.ran_ms), sum(taken.waited_ms)
    from taken group by hour;
    delete from postmill.queue_samples as sample
    where sample.queue_name = queue and sample.at >= begins and sample.at < ends and exists (
        select from postmill.queue_samples as later
        where later.queue_name = queue and later.at > sample.at
          and later.at < date_trunc('hour', sample.at, 'UTC') + interval '1 hour');
    delete from postmill.minutes where (queue_name, minute, slot) in (
        select old.queue_name, old.minute, old.slot from postmill.minutes as old
        where old.queue_name = queue and old.minute < oldest order by old.minute limit most);
    delete from postmill.queue_samples where (queue_name, at) in (
        select old.queue_name, old.at from postmill.queue_samples as old
        where old.queue_name = queue and old.at < oldest order by old.at limit most);
    return ends;
end
$$;
