-- What a step of a run has returned; of a map the list of what its items have returned. Null when there is no such run
-- or step, and while it is not completed; a step that has returned null has the JSON null.
-- Called by people and the client. Takes no locks. Errors: none.
create or replace function postmill.step_output(run_id bigint, step text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select postmill._output(known)
      from postmill.steps as known
     where known.run_id = step_output.run_id and known.step = step_output.step and known.state = 'completed';
$$;
