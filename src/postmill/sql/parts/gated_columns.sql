-- What a worker must know of a queue with messages that wait for their group. `asked_at`: the time before all this.
-- `claiming`: the transactions that have claimed something and not ended. `open_claim`: the first claim from $8 on.
-- Part of the statements busy_snapshot and idle_snapshot, after the part snapshot_columns. Kept with the flag gated.
-- $8 as `oldest` of the function claim_gated.
       , statement_timestamp() as asked_at --? gated
       , (select array_agg(virtualtransaction) from pg_catalog.pg_locks --? gated
           where granted and mode = 'RowExclusiveLock' and locktype = 'relation' --? gated
             and pid is distinct from pg_backend_pid() --? gated
             and database = (select oid from pg_catalog.pg_database where datname = current_database()) --? gated
             and relation = 'postmill.claims'::regclass) as claiming --? gated
       , (select claim_id from postmill.claims where claim_id >= $8::bigint and queue_name = $1::text --? gated
           order by claim_id limit 1) as open_claim --? gated
