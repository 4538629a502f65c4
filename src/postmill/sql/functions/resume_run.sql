-- Lets a paused run go on: its held tasks are sent again; a workflow begins again from its records. Returns false when
-- it was not paused.
-- Called by people, the command line and the client. Locks: the run's row; then the tables of the queues that tasks are
-- sent to. Errors: PM009 no such run, PM012 it has ended.
create or replace function postmill.resume_run(run_id bigint) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    run postmill.runs := postmill._run(resume_run.run_id);
begin
    if run.ended_at is not null then
        perform postmill._refuse_run(run, 'resumed', 'What has ended goes on with: postmill run retry ' || run.run_id);
    end if;
    if run.state <> 'paused' then
        return false;
    end if;
    perform postmill._tell_watchers(array[run.run_id]);
    update postmill.runs as resumed
    set state = 'running', reason = null, changed = pg_current_xact_id()
    where resumed.run_id = run.run_id;
    if postmill._is_workflow(run.version_id) then
        perform postmill._wake_again(run.run_id);
    else
        perform postmill._send_held(null, run.run_id, 'paused');
    end if;
    return true;
end
$$;
