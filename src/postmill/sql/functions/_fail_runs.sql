-- Fails runs that have not ended, each with the step for whose sake, and why. The steps' rows stay as they are: that a
-- step was cancelled follows from its run's state.
-- Called by _begin_steps and _fail_steps, and by sweeps, with the runs' rows locked. Lock order: as _tell_parents.
-- Errors: those of _tell_parents.
create or replace function postmill._fail_runs(run_ids bigint[], culprits text[], reasons text[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
    children bigint[];
begin
    with failed as (
        update postmill.runs as run
           set state = 'failed', culprit = t.culprit, reason = t.reason, ended_at = clock_timestamp(),
               changed = pg_current_xact_id()
          from unnest(run_ids, culprits, reasons) as t (run_id, culprit, reason)
         where run.run_id = t.run_id and run.state in ('running', 'waiting', 'paused')
        returning run.run_id, run.parent_run
    )
    select array_agg(run_id) into children from failed where parent_run is not null;
    if children is not null then
        perform postmill._tell_parents(children);
    end if;
end
$$;
