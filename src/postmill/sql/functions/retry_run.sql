-- Has a run that has failed or was cancelled go on, and the runs that it waits for: what has succeeded stays, failed
-- steps and what was cancelled start again; what was undone, and what came after it, is done again, with new runs in
-- place of those that it had started. Of a durable function's failures those that it catches stay: see _forget_failures
-- and _do_again. The run has as long again as it had at its start. Returns false when the run goes on already.
-- Called by people, the command line and the client. Lock order: the run's maps by step, the run's row, its children by
-- id, signals, then as _take_back and _begin_again. Errors: PM009 no such run, PM012 it was completed, or undoes what
-- it has done, be it one step that ended when it had failed: else the step would be done a second time, and neither be
-- undone.
create or replace function postmill.retry_run(run_id bigint) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    run         postmill.runs;
    is_workflow boolean;
    late        text;
    anew        text[];  -- steps that were undone, or came after such a one
begin
    perform postmill._check_isolation();
    -- Items are settled under the rows of their maps, and lock the run's row last.
    perform from postmill.steps as map
    where map.run_id = retry_run.run_id and map.tasks is not null order by map.step for no key update;
    run := postmill._run(retry_run.run_id);
    if run.state = 'completed' then
        perform postmill._refuse_run(run, 'retried', 'Begin anew from a step: postmill run fork ' || run.run_id);
    elsif run.state = 'undoing' then
        perform postmill._refuse_run(run, 'retried', 'Wait until it has failed.');
    elsif run.ended_at is null then
        return false;
    end if;
    late := postmill._still_undone(run);
    if late is not null then
        perform postmill._refuse_run(run, 'retried while its step ' || late || ' is being undone, which ended late',
                                     'Try again when a worker has undone it.');
    end if;
    perform postmill._tell_watchers(array[run.run_id]);
    update postmill.runs as again
    set state = 'running', culprit = null, reason = null, caught = null, ended_at = null,
        retried_at = clock_timestamp(), deadline = clock_timestamp() + again.time_limit, changed = pg_current_xact_id()
    where again.run_id = run.run_id;
    -- What could not be undone stands: it is done, and may be undone another time.
    update postmill.steps as step set reason = null
    where step.run_id = run.run_id and step.state = 'completed' and step.reason is not null;
    anew := array(select undone.step from postmill.steps as undone
                  where undone.run_id = run.run_id and undone.undone_at is not null);
    is_workflow := postmill._is_workflow(run.version_id);
    if not is_workflow and anew <> '{}' then
        anew := postmill._followers(run.version_id, anew);
    end if;
    if anew <> '{}' then
        perform postmill._leave_children(run.run_id, anew);
        delete from postmill.steps as step where step.run_id = run.run_id and step.step = any (anew);
    end if;
    if is_workflow then
        perform postmill._forget_failures(run);
    end if;
    perform postmill._retry_children(run.run_id);
    perform postmill._free_signals(run.run_id);
    if is_workflow then
        perform postmill._wake_again(run.run_id);
    else
        perform postmill._take_back(run);
        perform postmill._begin_again(run.run_id);
    end if;
    return true;
end
$$;
