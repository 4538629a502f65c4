-- Messages of queue $1, newest first: of state $2 or of any, at most $3, with ids below $4 when it is given.
-- Called by the command line. Takes no locks. Errors: PM001 no such queue, PM003 no such state.
select
    msg_id, state, waits_for, attempts, read_ct, enqueued_at, vt, worker_id, last_error, finished_at, message, headers,
    result
from postmill.messages($1::text, only_state => $2::text, max_rows => $3::integer, before_id => $4::bigint)
