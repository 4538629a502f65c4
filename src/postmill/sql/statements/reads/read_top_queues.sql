-- The queues $1 by name with what is in them, and two counters from which a rate is made. Messages sent so far are ids
-- given out: a sequence is up to date, where the server's statistics may be 10 s late. Those that left are what is
-- missing of them, as long as the queue was counted whole; otherwise they come from the statistics. Called by the
-- command line (top). Takes no locks. Errors: none.
select
    stats.queue_name as queue, ready, running, retrying, scheduled, waiting, dead, exact,
    extract(epoch from oldest_ready_age)::float8 as oldest_ready_s,
    extract(epoch from oldest_waiting_age)::float8 as oldest_waiting_s,
    workers, paused_at is not null as paused,
    given.out as sent_so_far,
    case when exact then given.out - total else activity.n_tup_del end as left_so_far,
    extract(epoch from clock_timestamp())::float8 as read_at
from unnest($1::text[]) as asked (name)
cross join lateral (
    select asked.name where postmill._has_queue(asked.name) offset 0
) as there (name)
cross join lateral postmill.queue_stats(there.name) as stats
cross join lateral (
    select to_regclass(format('pgmq.%I', lower('q_' || stats.queue_name))) as relation
) as named
cross join lateral (
    select coalesce(pg_catalog.pg_sequence_last_value(
        pg_catalog.pg_get_serial_sequence(named.relation::text, 'msg_id')::regclass), 0) as out
) as given
left join pg_catalog.pg_stat_all_tables as activity on activity.relid = named.relation
order by stats.queue_name
