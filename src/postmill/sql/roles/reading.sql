-- Looking at everything: `postmill top`, the lists, dashboards. It sees payloads and errors; of calls neither headers
-- nor bodies, which hold passwords. An operator looks too. A worker counts what is left and asks after single messages.
-- Called by postmill.db.tools.roles. Locks: none beyond those of GRANT. Errors: none of its own.
grant execute on function
    postmill.queue_stats, postmill.messages, postmill.why, postmill._paused_run, postmill._laid_aside,
    postmill.desired_workers
    to postmill_worker, postmill_reader, postmill_operator;
grant execute on function
    postmill.error_history, postmill.error_list, postmill.queue_history, postmill.search_index_list, postmill.throughput
    to postmill_reader, postmill_operator;
grant select on
    postmill.active_workers, postmill.call_list, postmill.call_queue_list, postmill.cancelled, postmill.dead,
    postmill.failed_attempts, postmill.inactive_workers, postmill.limits, postmill.schedule_history,
    postmill.schedule_list to postmill_reader, postmill_operator;
grant select on
    postmill.attempt_logs, postmill.audit, postmill.blocked, postmill.cancellations, postmill.claims,
    postmill.dead_letters, postmill.edges, postmill.ended, postmill.error_groups, postmill.error_hours,
    postmill.failures, postmill.gates, postmill.groups, postmill.idle_workers, postmill.minutes,
    postmill.operation_rows, postmill.operations, postmill.payload_types, postmill.prunings, postmill.queue_samples,
    postmill.results, postmill.revoked_keys, postmill.schedule_runs, postmill.schedules, postmill.search_indexes,
    postmill.unique_keys, postmill.waiters, postmill.workers to postmill_reader, postmill_operator;
grant select (call_id, method, function_name, url, host, created_by, created_at, due_at, attempts, max_attempts,
              started_at, lost_at, last_error, waits_for) on postmill.calls to postmill_reader, postmill_operator;
grant select (call_id, method, function_name, url, status_code, content_type, timed_out, error_msg, outcome_unknown,
              attempts, created_by, created_at) on postmill.call_responses to postmill_reader, postmill_operator;
do $$
begin
    if exists (select from postmill.components where name = 'compat/edge_worker') then
        grant usage on schema edge_worker to postmill_reader, postmill_operator;
        grant select on edge_worker.workers, edge_worker.active_workers, edge_worker.inactive_workers
            to postmill_reader, postmill_operator;
    end if;
end
$$;
