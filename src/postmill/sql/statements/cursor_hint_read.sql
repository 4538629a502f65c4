-- Where a new worker may start in a queue. Called by: engine claimer. $1 queue, $2 the table's OID.
-- 0 when nothing is known, or what is known is of a table that was dropped since.
select clock_timestamp() as now,
       coalesce((select cursor_hint from postmill.queues
                  where queue_name = $1::text and cursor_relation = $2::bigint::oid), 0) as hint
