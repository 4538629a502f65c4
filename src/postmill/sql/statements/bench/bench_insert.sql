-- The raw limit's bulk insert: payloads that are JSON text already. PINNED, as bench_claim.
-- $1 payloads. Called by postmill.bench. Locks nothing that exists.
insert into {queue} (vt, message)
select (select clock_timestamp()), payload::jsonb
from unnest($1::text[]) as payload
returning msg_id
