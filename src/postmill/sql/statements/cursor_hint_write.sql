-- Remember that nothing is alive at or below an id. Called by: engine claimer, now and then. $1 queue, $2 the table's OID, $3 the id.
update postmill.queues
   set cursor_hint = case when cursor_relation = $2::bigint::oid then greatest(cursor_hint, $3::bigint) else $3::bigint end,
       cursor_relation = $2::bigint::oid
 where queue_name = $1::text
