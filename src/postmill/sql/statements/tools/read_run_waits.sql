-- The signals that the run $1 waits for now. Called by the command line. Takes no locks. Errors: none.
select step.step, step.signal from postmill.run_steps as step
 where step.run_id = $1::bigint and step.kind = 'wait' and step.state = 'started'
union all
select null, unnest(run.waits_for) from postmill.runs as run where run.run_id = $1::bigint
order by 1, 2
