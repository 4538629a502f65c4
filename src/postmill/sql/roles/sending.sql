-- Sending with every option, and waiting for results. A worker's handlers and a schedule send too, and an operator
-- replays. No payload can be read: not of a message that waits, and not of one that is dead.
-- Called by postmill.db.tools.roles. Locks: none beyond those of GRANT. Errors: none of its own.
grant execute on function postmill.send, postmill.send_batch, postmill.send_jobs
    to postmill_producer, postmill_worker, postmill_scheduler, postmill_operator;
grant select, insert, update on postmill.gates, postmill.unique_keys
    to postmill_producer, postmill_worker, postmill_scheduler, postmill_operator;
grant select, insert, update, delete on postmill.blocked
    to postmill_producer, postmill_worker, postmill_scheduler, postmill_operator;
grant select, insert, delete on postmill.edges
    to postmill_producer, postmill_worker, postmill_scheduler, postmill_operator;
grant select on postmill.claims, postmill.idle_workers, postmill.results
    to postmill_producer, postmill_worker, postmill_scheduler, postmill_operator;
grant select (queue_name, msg_id, requested_at, requested_by, cancelled_at, enqueued_at, reason)
    on postmill.cancellations to postmill_producer, postmill_worker, postmill_scheduler, postmill_operator;
grant select (queue_name, msg_id, kind, failed_at) on postmill.failures
    to postmill_producer, postmill_worker, postmill_scheduler, postmill_operator;
grant select (letter_id, queue_name, msg_id, read_ct, enqueued_at, attempts, kind, reason, error_type, traceback,
              died_at, replayed_at, replayed_as, replayed_by) on postmill.dead_letters
    to postmill_producer, postmill_worker, postmill_scheduler, postmill_operator;
grant select, insert, update, delete on postmill.waiters
    to postmill_producer, postmill_worker, postmill_scheduler, postmill_operator;
