-- The asking worker took all it could: if a message is still due in the fast lane, wake another one. With the flag
-- gated more may wait for their groups than it could take: that is not looked for.
-- Called by: engine claimer. $1 queue, $2 the worker that asks, $3 its cursor's position. Takes no locks. Errors:
-- undefined_table when the queue was dropped.
select postmill._wake_one($1::text, $2::uuid)
 where exists (select from (select from {queue} --? !gated
                             where msg_id > $3::bigint and vt <= (select clock_timestamp()) --? !gated
                             order by msg_id limit 1) as next) --? !gated
 where $3::bigint is not null --? gated
