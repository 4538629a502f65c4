-- What the step $2 of the run $1 is given, by parameter (null: of a workflow, or it is not known yet), and has given.
-- Called by the API and the dashboard. Takes no locks. Errors: none.
select (select given.inputs from postmill._step_inputs(array[$1::bigint], array[$2::text]) as given
         where its.state <> 'waiting') as input,
       postmill.step_output($1::bigint, $2::text) as output
  from postmill.steps as its
 where its.run_id = $1::bigint and its.step = $2::text
