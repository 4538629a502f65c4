-- What a worker must know of a queue between claims: is it the one that its cursor belongs to (`history`, see cursor_hint_read),
-- is it paused, how far its ids have gone, which transactions are writing, and whether a claim would find something. Called by: engine claimer. $1 the queue, $2 the due lane's edge, $3 the cursor's position,
-- $4 and $5 the late lane's ids (above, up to), and of a busy worker (not idle) $6 a claim made not long ago, $7 the worker.
-- The sequence is read BEFORE the locks (the lateral reference forces it): a writer that is not seen here has ids above it only.
-- `behind` and `late`: something is due in that lane. Asked by idle workers only (flag idle; under a pinned horizon these walk dead
-- index entries): `ahead_age_s`: seconds since the first message that is due in the fast lane was sent; `due_in_s`: seconds until the next message falls due, null when none
-- waits (times are cut to those of this millennium: they may be infinite, and no difference of infinite times exists before 17);
-- `waiting`: how many workers want to be called. Asked by busy ones: `rivals`: workers of a lower id that claimed in the last second.
-- Lock order: none. Errors: undefined_table when the queue was dropped.
select
--+ cursor_history
       as history,
       clock_timestamp() as now,
       (select paused_at is not null from postmill.queues where queue_name = $1::text) as paused,
       id.last as sequence,
       writing.writers,
       exists (select from (select from {queue}
                             where vt > $2::timestamptz and vt <= (select clock_timestamp()) and msg_id <= $3::bigint
                             order by vt limit 1) as first) as behind,
       exists (select from (select from {queue}
                             where msg_id > $4::bigint and msg_id <= $5::bigint and vt <= (select clock_timestamp())
                             order by msg_id limit 1) as first) as late,
       (select extract(epoch from clock_timestamp() - least(greatest(enqueued_at, '2000-01-01'), '3000-01-01'))::double precision --? idle
          from {queue} where msg_id > $3::bigint and vt <= (select clock_timestamp()) order by msg_id limit 1) --? idle
       0::double precision --? !idle
       as ahead_age_s,
       (select extract(epoch from least(vt, '3000-01-01') - clock_timestamp())::double precision --? idle
          from {queue} where vt > $2::timestamptz order by vt limit 1) --? idle
       null::double precision --? !idle
       as due_in_s,
       (select count(*) from postmill.idle_workers where queue_name = $1::text) --? idle
       0::bigint --? !idle
       as waiting,
       (select count(distinct worker_id) from postmill.claims --? !idle
         where claim_id > $6::bigint and queue_name = $1::text and worker_id < $7::uuid --? !idle
           and claimed_at > clock_timestamp() - interval '1 second') --? !idle
       0::bigint --? idle
       as rivals
  from (select case when is_called then last_value else 0 end as last from {sequence} offset 0) as id
 cross join lateral (
       select array_agg(virtualtransaction) as writers
         from pg_catalog.pg_locks
        where id.last is not null and granted and mode = 'RowExclusiveLock' and locktype = 'relation'
          and pid is distinct from pg_backend_pid()
          and database = (select oid from pg_catalog.pg_database where datname = current_database())
          and relation = to_regclass('{queue}')
       ) as writing
