-- Fails runs that have not ended, each with the step for whose sake, and why. A run with steps that can be undone is
-- `undoing` until they are: see _undo_next. The steps' rows stay as they are: that a step was cancelled follows from
-- its run's state. Called by _begin_steps, _fail_steps and _send_steps, and by sweeps, with the runs' rows locked.
-- Lock order: as _undo_next. Errors: those of _undo_next.
create or replace function postmill._fail_runs(run_ids bigint[], culprits text[], reasons text[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    failing bigint[];
begin
    perform postmill._tell_watchers(run_ids);
    with failed as (
        update postmill.runs as run
           set state = 'undoing', culprit = t.culprit, reason = t.reason, changed = pg_current_xact_id()
          from unnest(run_ids, culprits, reasons) as t (run_id, culprit, reason)
         where run.run_id = any (run_ids) and run.run_id = t.run_id and run.state in ('running', 'waiting', 'paused')
        returning run.run_id
    )
    select array_agg(run_id) into failing from failed;
    if failing is not null then
        perform postmill._undo_next(failing);
    end if;
end
$$;
