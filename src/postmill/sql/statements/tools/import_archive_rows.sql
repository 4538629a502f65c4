-- The messages $1 of an archive, each value as text that every server reads.
-- Called by postmill import pgmq-archive, in the database that has it. Takes no locks. Errors: insufficient_privilege.
select done.msg_id, done.msg_id || ' ' || extract(epoch from done.enqueued_at) as key, done.read_ct,
       to_jsonb(done.enqueued_at) #>> '{}' as enqueued_at, to_jsonb(done.archived_at) #>> '{}' as archived_at,
       to_jsonb(done.vt) #>> '{}' as vt, done.message::text as message,
       done.headers::text as headers, --? has_headers
       null as headers, --? !has_headers
       to_jsonb(done.last_read_at) #>> '{}' as last_read_at --? has_last_read
       null as last_read_at --? !has_last_read
from {source} as done
where done.msg_id = any ($1::bigint[])
