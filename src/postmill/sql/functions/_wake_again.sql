-- Has a workflow begin again from its records: it is sent a message with a new number, so that every older one is
-- stale, also one that a worker holds or that is held. Called by resume_run, retry_run, fork_run and _do_again, which
-- hold the run's row. Locks: the table of the flow's queue. Errors: those of _send_wakes.
create or replace function postmill._wake_again(run_id bigint) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from postmill.held_tasks as held where held.run_id = _wake_again.run_id;
    update postmill.runs as run set wake = run.wake + 1, waits_for = null, due_at = null
    where run.run_id = _wake_again.run_id;
    perform postmill._send_wakes(array[_wake_again.run_id], array[clock_timestamp()]);
end
$$;
