-- Queues in which a message is ready for longer than a worker with room would leave it there: the queue, how long the
-- first of them is ready, and the process of a transaction that may keep it locked (null: none has the table open).
-- Called by: db checks.
-- $1 seconds that it must have been ready, $2 how old a process's transaction must be to be named. Costs what
-- queue_stats does. Takes no locks. Errors: none of its own.
select stats.queue_name as queue,
       extract(epoch from stats.oldest_ready_age)::float8 as ready_s,
       (select lock.pid
          from pg_catalog.pg_locks as lock
          join pg_catalog.pg_stat_activity as activity using (pid)
         where lock.locktype = 'relation'
           and lock.database = (select oid from pg_catalog.pg_database where datname = current_database())
           and lock.relation = to_regclass(format('pgmq.%I', lower('q_' || stats.queue_name)))
           and lock.mode in ('RowShareLock', 'RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                             'AccessExclusiveLock')
           and lock.granted and activity.xact_start < clock_timestamp() - $2::float8 * interval '1 second'
         order by activity.xact_start limit 1) as pid
  from postmill.queue_stats() as stats
 where stats.paused_at is null
   and stats.oldest_ready_age > $1::float8 * interval '1 second'
   and exists (select from postmill.active_workers as worker
                where worker.queue_name = stats.queue_name and worker.deprecated_at is null
                  and worker.in_flight < worker.max_concurrent)
 order by stats.queue_name
