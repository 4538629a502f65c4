-- Pausing and resuming, replaying and discarding what is dead, retrying, cancelling, purging, limits, retention, asking
-- workers to leave, and schedules of messages. What it does through the API it adds to the audit; it can take nothing
-- from that. An operator can neither make nor drop a queue.
-- Called by postmill.db.tools.roles. Locks: none beyond those of GRANT. Errors: none of its own.
grant execute on function
    postmill.abort_operation, postmill.cancel, postmill.deprecate_worker, postmill.discard, postmill.limit_groups,
    postmill.limit_queue, postmill.pause, postmill.pause_schedule, postmill.plan_operation, postmill.purge_queue,
    postmill.release, postmill.replay, postmill.resume, postmill.resume_schedule, postmill.retry,
    postmill.run_schedule, postmill.schedule, postmill.set_error_state, postmill.set_retention,
    postmill.start_operation, postmill.unschedule, postmill._make_call, postmill._check_known_flow,
    postmill._start_scheduled, postmill.schedule_flow, postmill._prune_audit to postmill_operator;
grant insert, update, delete on
    postmill.blocked, postmill.cancellations, postmill.dead_letters, postmill.edges, postmill.ended, postmill.gates,
    postmill.groups, postmill.schedule_runs, postmill.schedules, postmill.unique_keys to postmill_operator;
-- Messages on their way to another database.
grant select, insert, update, delete on postmill.arrivals, postmill.departures to postmill_operator;
grant insert (viewer, role, source, action, target, affected) on postmill.audit to postmill_operator;
grant select, insert, update on postmill.idempotency_keys, postmill.revoked_keys to postmill_operator;
grant insert, update on
    postmill.error_groups, postmill.operation_rows, postmill.operations, postmill.prunings, postmill.queues
    to postmill_operator;
grant update (deprecated_at) on postmill.workers to postmill_operator;
grant select (schedule_id), delete on postmill.scheduled_calls to postmill_operator;
