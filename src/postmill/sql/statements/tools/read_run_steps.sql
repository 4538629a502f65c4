-- The steps of the run $1 in order of definition; of a workflow as they were recorded. Called by the command line.
-- Takes no locks. Errors: none.
select shown.step, shown.kind, shown.state, shown.tasks, shown.tasks_done, shown.tasks_failed, shown.attempts,
       shown.reason, shown.signal, shown.started_at, shown.ended_at, shown.undone_at,
       extract(epoch from shown.ended_at - shown.started_at)::float8 as took_s,
       postmill._output(its) as output
  from postmill.run_steps as shown
  left join postmill.steps as its on its.run_id = shown.run_id and its.step = shown.step
 where shown.run_id = $1::bigint
 order by shown.place, shown.ended_at, shown.step
