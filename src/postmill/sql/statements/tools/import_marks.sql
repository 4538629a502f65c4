-- What the things $2 of source $1 have become, as far as they were imported.
-- Called by postmill import supaqueue. Takes no locks. Errors: insufficient_privilege.
select known.key, known.queue_name || ':' || known.msg_id as ref
from postmill.imported as known
where known.source = $1::text and known.key = any ($2::text[])
