-- Keep the messages that a cancellation has taken out of a queue: the rows of the CTE `gone`.
-- Part of the statement cancel_running and of the functions _cancel and _take_blocked. Lock order:
-- postmill.cancellations.
    insert into postmill.cancellations (queue_name, msg_id, cancelled_at, message, headers, enqueued_at, reason)
    select queue_name, msg_id, clock_timestamp(), message, headers, enqueued_at, reason from gone
    on conflict (queue_name, msg_id) do update
       set cancelled_at = excluded.cancelled_at, message = excluded.message, headers = excluded.headers,
           enqueued_at = excluded.enqueued_at, reason = coalesce(excluded.reason, cancellations.reason)
