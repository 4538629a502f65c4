-- What a worker must know of a queue between claims: is it there, paused, how far its ids have gone, who is writing, what falls due.
-- Called by: engine claimer. $1 the queue, $2 (flag idle) the due lane's edge.
-- The sequence is read BEFORE the locks (the lateral reference forces it): a writer that is not seen here has ids above it only.
-- `due_in_s`: seconds until the next message behind or ahead falls due; null when none waits. Asked by idle workers only: under a
-- pinned horizon it walks dead index entries. Lock order: none. Errors: undefined_table when the queue was dropped.
select to_regclass('{queue}')::oid::bigint as relation,
       clock_timestamp() as now,
       (select paused_at is not null from postmill.queues where queue_name = $1::text) as paused,
       id.last as sequence,
       writing.writers,
       (select extract(epoch from vt - clock_timestamp())::double precision --? idle
          from {queue} where vt > $2::timestamptz order by vt limit 1) --? idle
       null::double precision --? !idle
       as due_in_s
  from (select case when is_called then last_value else 0 end as last from {sequence} offset 0) as id
 cross join lateral (
       select array_agg(virtualtransaction) as writers
         from pg_catalog.pg_locks
        where id.last is not null and granted and mode = 'RowExclusiveLock' and locktype = 'relation'
          and pid is distinct from pg_backend_pid()
          and database = (select oid from pg_catalog.pg_database where datname = current_database())
          and relation = to_regclass('{queue}')
       ) as writing
