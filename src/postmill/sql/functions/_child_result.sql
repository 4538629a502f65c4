-- How a run is doing that a step of another run has started: see run_result. Null when that step has not started it:
-- messages can be forged.
-- Called by the statement step_child. Takes no locks. Errors: none.
create or replace function postmill._child_result(child bigint, run_id bigint, step text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select postmill.run_result(child)
      from postmill.runs as run
     where run.run_id = child and run.parent_run = _child_result.run_id and run.parent_step = step;
$$;
