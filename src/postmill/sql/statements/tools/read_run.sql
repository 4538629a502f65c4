-- The run $1 with its input and, of a workflow, its output. Called by the command line. Takes no locks. Errors: none.
select shown.*, run.input, run.output
  from postmill.run_list as shown join postmill.runs as run using (run_id)
 where shown.run_id = $1::bigint
