-- How many messages of an archive were archived since $1, and how many before.
-- Called by postmill import pgmq-archive, in the database that has it. Takes no locks. Errors: insufficient_privilege.
select count(*) filter (where done.archived_at >= $1::timestamptz) as recent,
       count(*) filter (where done.archived_at < $1::timestamptz) as old
from {source} as done
