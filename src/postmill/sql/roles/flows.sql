-- Flows: running their steps, starting runs of them, steering runs and looking at them. Whoever looks sees payloads.
-- Called by postmill.db.tools.roles. Locks: none beyond those of GRANT. Errors: none of its own.
grant execute on function
    postmill.register_flow, postmill._end_undo, postmill._fail_steps, postmill._hold_tasks, postmill._refuse_inputs,
    postmill._settle_steps, postmill._prepare_settling, postmill._are_held, postmill._child_result,
    postmill._start_children, postmill._step_inputs to postmill_worker;
grant execute on function
    postmill._begin_undo, postmill._do_again, postmill._end_runs_of_workflows, postmill._ended_runs,
    postmill._load_runs, postmill._park_runs, postmill._refuse_signal, postmill._say_events, postmill._start_child,
    postmill._wake_parents, postmill._write_checkpoints to postmill_worker;
grant execute on function postmill.signal_run to postmill_producer, postmill_worker, postmill_operator;
grant execute on function
    postmill.run_result, postmill.start_flow, postmill.step_output, postmill._why_no_output
    to postmill_producer, postmill_worker, postmill_scheduler, postmill_operator;
grant execute on function postmill.prune_runs, postmill.sweep_flows to postmill_worker;
grant execute on function
    postmill.cancel_run, postmill.fork_run, postmill.import_run, postmill.pause_run, postmill.resume_run,
    postmill.retry_run, postmill.steer_runs to postmill_operator;
grant execute on function
    postmill.export_run, postmill.run_changes, postmill._step_inputs to postmill_reader, postmill_operator;
grant execute on function postmill.step_output to postmill_reader;
grant select on
    postmill.flow_audit, postmill.flow_steps, postmill.flow_versions, postmill.held_tasks, postmill.items,
    postmill.run_events, postmill.run_list, postmill.run_steps, postmill.runs, postmill.signals, postmill.steps
    to postmill_reader, postmill_operator;
