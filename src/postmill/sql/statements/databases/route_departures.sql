-- The next $3 messages of queue $1 that are on their way to database $2, locked until the transaction ends, so that
-- one process alone brings each of them in. Times are as JSON has them, which every server reads alike.
-- Called by route move, in a transaction. Locks: rows of departures, skipping locked ones. Errors: none.
select leaving.msg_id, to_jsonb(leaving.enqueued_at) #>> '{}' as enqueued_at,
       to_jsonb(leaving.vt) #>> '{}' as vt, leaving.message::text, leaving.headers::text
from postmill.departures as leaving
where leaving.queue_name = $1::text and leaving.target = $2::text
order by leaving.msg_id limit $3::integer
for update skip locked
