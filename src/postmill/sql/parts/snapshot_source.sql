-- A queue's last id, the transactions that write to it, and what we know of it (null: nothing). The sequence is read
-- BEFORE the locks (the lateral reference forces it): a writer that is not seen here has ids above it only.
-- Priorities need their index: it goes with its table when another client drops the queue, and without it each claim
-- would read the whole queue.
-- Part of the statements busy_snapshot and idle_snapshot. Takes no locks.
  from (select case when is_called then last_value else 0 end as last from {sequence} offset 0) as id
 cross join lateral (
       select array_agg(virtualtransaction) as writers
         from pg_catalog.pg_locks
        where id.last is not null and granted and mode = 'RowExclusiveLock' and locktype = 'relation'
          and pid is distinct from pg_backend_pid()
          and database = (select oid from pg_catalog.pg_database where datname = current_database())
          and relation = to_regclass('{queue}')
       ) as writing
  left join lateral (
       select paused_at is not null as paused, gated, coalesce(max_running, starts) is not null as limited,
              has_priorities and exists (
                  select from pg_catalog.pg_index join pg_catalog.pg_class on oid = indexrelid
                   where indrelid = to_regclass('{queue}') and indisvalid
                     and starts_with(relname, 'postmill_priority_'))
              as has_priorities
         from postmill.queues where queue_name = $1::text
       ) as known on true
