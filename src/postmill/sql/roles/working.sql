-- Running messages to their end: claims, settlements, retries, groups, what waits for others, calls; and the upkeep
-- that every worker process shares, the firing of schedules among it. A worker can neither make nor drop a queue.
-- Called by postmill.db.tools.roles. Locks: none beyond those of GRANT. Errors: none of its own.
grant execute on function
    postmill.claim_gated, postmill.create_queue, postmill.declare_flow_schedule,
    postmill.declare_schedule, postmill.name_database, postmill.prune, postmill.release,
    postmill.rescue, postmill.return_claim, postmill.schedule, postmill.schedule_flow,
    postmill._check_known_flow, postmill.sweep_dependents, postmill.sweep_gates,
    postmill.tidy_calls, postmill.unschedule to postmill_worker;
grant select, insert, update, delete on
    postmill.attempt_logs, postmill.blocked, postmill.call_responses, postmill.cancellations, postmill.claims,
    postmill.dead_letters, postmill.edges, postmill.ended, postmill.error_hours, postmill.failures, postmill.gates,
    postmill.groups, postmill.idle_workers, postmill.minutes, postmill.operation_rows, postmill.operations,
    postmill.payload_types, postmill.queue_samples, postmill.results, postmill.schedules, postmill.unique_keys,
    postmill.workers to postmill_worker;
-- Not the URL, the headers or the role of a call: whoever changes one would have its secrets sent elsewhere.
grant select, update (started_at, lost_at, due_at, attempts, last_error), delete on postmill.calls to postmill_worker;
grant insert, update on postmill.own_name, postmill.queues to postmill_worker;
grant select, insert, update on postmill.edge_sweep, postmill.prunings to postmill_worker;
grant select on postmill.call_queues, postmill.schedule_list, postmill.secret_grants to postmill_worker;
grant select (schedule_id), delete on postmill.scheduled_calls to postmill_worker;
