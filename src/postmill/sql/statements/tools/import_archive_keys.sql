-- A page of an archive: ids and keys of at most $3 messages that come after id $1 and were archived since $2. A key has
-- the moment of the send in it: ids of a queue that was dropped and made again begin at 1.
-- Called by postmill import pgmq-archive, in the database that has it. Takes no locks. Errors: insufficient_privilege.
select done.msg_id, done.msg_id || ' ' || extract(epoch from done.enqueued_at) as key
from {source} as done
where done.msg_id > $1::bigint and done.archived_at >= $2::timestamptz
order by done.msg_id limit $3::integer
