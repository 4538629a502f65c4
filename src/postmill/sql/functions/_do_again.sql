-- A run of a workflow was retried, and would fail by failures from before that: these steps are done again, and so are
-- the runs that they wait for. Where the function was not what had ended the run (the deadline, a cancellation),
-- nothing told which failures it would catch. Returns false where none of these steps has failed before the last retry,
-- where the run does not run under this message, and where it was cancelled while it undid what it had done: it fails,
-- and undoes the rest. Called by the statement run_do_again. Lock order: the run, its steps; then as _retry_children
-- and _wake_again. Errors: PM005 (see _check_isolation).
create or replace function postmill._do_again(run_id bigint, wake integer, steps text[]) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    retried_at timestamptz;
begin
    perform postmill._check_isolation();
    select run.retried_at into retried_at from postmill.runs as run
    where run.run_id = _do_again.run_id and run.wake = _do_again.wake and run.state = 'running'
    for no key update;
    delete from postmill.steps as step
    where step.run_id = _do_again.run_id and step.step = any (steps) and step.state = 'failed'
      and step.ended_at < retried_at
      and not exists (select from postmill.steps as undoing
                      where undoing.run_id = _do_again.run_id and starts_with(undoing.step, 'undo:'));
    if not found then
        return false;
    end if;
    perform postmill._retry_children(_do_again.run_id);
    perform postmill._wake_again(_do_again.run_id);
    return true;
end
$$;
