-- What the payloads of queue $1 look like, by task: that of the default handler ('') first. No row when no worker has
-- said so. Called by db reads. Takes no locks. Errors: none.
select task, function_name, schema, noted_at
from postmill.payload_types where queue_name = $1::text order by task
