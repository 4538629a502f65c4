-- Firing schedules, and running the SQL commands of others. Every worker process does both, the second only where its
-- login is a member of postmill_scheduler too: see _why_not_run.
-- Called by postmill.db.tools.roles. Locks: none beyond those of GRANT. Errors: none of its own.
grant execute on function
    postmill.fire_schedules, postmill.tidy_schedule_runs, postmill.join_runners, postmill.look_for_commands,
    postmill.sweep_commands, postmill.claim_command, postmill.check_command, postmill.end_command, postmill._make_call,
    postmill._end_flow_runs, postmill._start_scheduled
    to postmill_worker, postmill_scheduler;
grant usage on schema postmill_commands to postmill_scheduler;
grant select, update (next_at, problem) on postmill.schedules to postmill_scheduler;
grant select, insert, update, delete on postmill.schedule_runs to postmill_worker, postmill_scheduler;
grant select on postmill.ended to postmill_scheduler;
grant select (queue_name, deletes) on postmill.workers to postmill_scheduler;
grant select (call_id, waits_for, attempts) on postmill.calls to postmill_scheduler;
grant select (call_id, run_id, status_code, error_msg, outcome_unknown) on postmill.call_responses
    to postmill_scheduler;
