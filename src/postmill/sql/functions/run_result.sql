-- How a run is doing, for the code that has started it: {"state", "output", "culprit", "reason"}; null when there is no
-- such run. The output of a completed workflow is what it has returned; that of a graph flow has the outputs of the
-- completed steps that no other step needs, by name.
-- Called by people and the client. Takes no locks. Errors: none.
create or replace function postmill.run_result(run_id bigint) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_strip_nulls(jsonb_build_object('state', postmill._run_state(run),
                                                'culprit', run.culprit, 'reason', run.reason))
           || case when run.state = 'completed' then jsonb_build_object('output',
                  case when version.kind = 'workflow' then run.output
                  else (select coalesce(jsonb_object_agg(ended.step, postmill._output(ended)), '{}')
                          from postmill.flow_steps as known
                          join postmill.steps as ended on ended.run_id = run.run_id and ended.step = known.step
                         where known.version_id = run.version_id and known.dependents = '{}'
                           and ended.state = 'completed') end) else '{}' end
      from postmill.runs as run
      join postmill.flow_versions as version using (version_id)
     where run.run_id = run_result.run_id;
$$;
