-- Of the queues $1, in which messages are ready for long, those whose worker has room for them all the same, with the
-- process of a transaction that may keep them locked (null: none has the table open).
-- Called by: db queue_checks. $2 how old a process's transaction must be to be named, in seconds. Looks into no queue.
-- Takes no locks. Errors: none of its own.
select asked.name as queue,
       (select lock.pid
          from pg_catalog.pg_locks as lock
          join pg_catalog.pg_stat_activity as activity using (pid)
         where lock.locktype = 'relation'
           and lock.database = (select oid from pg_catalog.pg_database where datname = current_database())
           and lock.relation = to_regclass(format('pgmq.%I', lower('q_' || asked.name)))
           and lock.mode in ('RowShareLock', 'RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                             'AccessExclusiveLock')
           and lock.granted and activity.xact_start < clock_timestamp() - $2::float8 * interval '1 second'
         order by activity.xact_start limit 1) as pid
  from unnest($1::text[]) as asked (name)
 where exists (select from postmill.active_workers as worker
                where worker.queue_name = asked.name and worker.deprecated_at is null
                  and worker.in_flight < worker.max_concurrent)
 order by asked.name
