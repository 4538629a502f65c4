-- What is to be known of claimed tasks of flows: see _step_inputs. Called by: the handler of graphs, once a claim.
-- $1 runs, $2 steps, $3 runs whose input this program has seen to fit. Takes no locks. Errors: none.
select run_id, step, flow, version, version_id, kind, run_state, step_state, inputs::text, output::text,
       run_input
  from postmill._step_inputs($1::bigint[], $2::text[], $3::bigint[])
