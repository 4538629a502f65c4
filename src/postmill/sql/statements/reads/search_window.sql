-- Messages of queue $1 with ids from $2 to $3 that match: see the function _search for $4 to $10.
-- Called by the search. Takes no locks. Errors: PM001 no such queue.
select msg_id, state, attempts, read_ct, enqueued_at, vt, worker_id, last_error, finished_at, message, headers
from postmill._search(
    $1::text, $2::bigint, $3::bigint, $4::bigint[], $5::text, $6::timestamptz, $7::timestamptz, $8::jsonb, $9::text[],
    $10::integer)
