-- Lets a run start nothing more, until resume_run; what runs goes on, and its outcome counts. A task that a worker
-- claims meanwhile is held. Signals are kept; a deadline goes on. Returns whether it was paused now; of a paused run
-- it changes the reason.
-- Called by people, the command line and the client. Locks: the run's row. Errors: PM009 no such run, PM012 it has
-- ended or undoes what it has done.
create or replace function postmill.pause_run(run_id bigint, reason text default null) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    run postmill.runs := postmill._run(pause_run.run_id);
begin
    if run.state not in ('running', 'waiting', 'paused') then
        perform postmill._refuse_run(run, 'paused', 'Only a run that goes on can be paused.');
    end if;
    perform postmill._tell_watchers(array[run.run_id]);
    update postmill.runs as paused
    set state = 'paused', reason = postmill._by_whom('paused', pause_run.reason), changed = pg_current_xact_id()
    where paused.run_id = pause_run.run_id;
    return run.state <> 'paused';
end
$$;
