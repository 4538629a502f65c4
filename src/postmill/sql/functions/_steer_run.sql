-- Does one thing to a run; false where it can't any more. Called by steer_runs. Locks: as cancel_run, pause_run,
-- resume_run or retry_run. Errors: none.
create or replace function postmill._steer_run(action text, run_id bigint, reason text) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    return case action
        when 'cancel' then postmill.cancel_run(run_id, reason)
        when 'pause' then postmill.pause_run(run_id, reason)
        when 'resume' then postmill.resume_run(run_id)
        when 'retry' then postmill.retry_run(run_id) end;
exception when sqlstate 'PM009' or sqlstate 'PM012' then  -- it has ended, or was deleted, since it was found
    return false;
end
$$;
