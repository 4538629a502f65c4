-- Message $2 of queue $1, wherever it is by now. reason: why it was cancelled, where it was not a person who did it.
-- Called by the command line. Takes no locks. Errors: PM001 no such queue.
select
    $1::text as queue, msg_id, state, waits_for, attempts, read_ct, enqueued_at, vt, worker_id, last_error,
    (select cancellation.reason from postmill.cancellations as cancellation
     where cancellation.queue_name = $1::text and cancellation.msg_id = $2::bigint and state = 'cancelled') as reason,
    finished_at, message, headers, result
from postmill.messages($1::text, max_rows => 1, only_id => $2::bigint)
