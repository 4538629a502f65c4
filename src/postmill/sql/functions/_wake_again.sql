-- Has a workflow begin again from its records: it is sent a message with a new number, so that every older one is
-- stale, also one that a worker holds or that is held. A step that waits for a run which is not here, as in a run that
-- was imported, starts one anew.
-- Called by resume_run, retry_run and fork_run, which hold the run's row. Locks: its steps, the flow's queue.
-- Errors: those of _send_wakes.
create or replace function postmill._wake_again(run_id bigint) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from postmill.held_tasks as held where held.run_id = _wake_again.run_id;
    delete from postmill.steps as step
    where step.run_id = _wake_again.run_id and step.state = 'waiting' and step.attempts is null
      and step.inputs is not null  -- neither a wait nor a pause between two attempts
      and not exists (select from postmill.runs as child
                      where child.parent_run = step.run_id and child.parent_step = step.step);
    update postmill.runs as run set wake = run.wake + 1, waits_for = null, due_at = null
    where run.run_id = _wake_again.run_id;
    perform postmill._send_wakes(array[_wake_again.run_id], array[clock_timestamp()]);
end
$$;
