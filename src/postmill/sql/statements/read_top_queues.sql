-- Every queue with what is in it, and two counters of the server's statistics from which a rate is made: rows that came into
-- and went out of its table. The server writes them about a second late.
-- Called by the command line (top). Takes no locks. Errors: none.
select
    stats.queue_name as queue, ready, running, retrying, scheduled, dead,
    extract(epoch from oldest_ready_age)::float8 as oldest_ready_s,
    workers, paused_at is not null as paused,
    activity.n_tup_ins as sent_so_far, activity.n_tup_del as left_so_far,
    extract(epoch from clock_timestamp())::float8 as read_at
from postmill.queue_stats() as stats
left join pg_catalog.pg_stat_all_tables as activity
    on activity.relid = to_regclass(format('pgmq.%I', lower('q_' || stats.queue_name)))
order by stats.queue_name
