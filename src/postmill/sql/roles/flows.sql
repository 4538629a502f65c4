-- Flows: running their steps, and starting runs of them.
-- Called by postmill.db.tools.roles. Locks: none beyond those of GRANT. Errors: none of its own.
grant execute on function
    postmill.register_flow, postmill._fail_steps, postmill._hold_tasks, postmill._settle_steps,
    postmill._start_children, postmill._step_inputs to postmill_worker;
grant execute on function
    postmill._begin_undo, postmill._end_runs_of_workflows, postmill._load_runs, postmill._park_runs,
    postmill._say_events, postmill._start_child, postmill._wake_parents, postmill._write_checkpoints
    to postmill_worker;
grant execute on function postmill.signal_run to postmill_producer, postmill_worker, postmill_operator;
grant execute on function
    postmill.start_flow to postmill_producer, postmill_worker, postmill_scheduler, postmill_operator;
