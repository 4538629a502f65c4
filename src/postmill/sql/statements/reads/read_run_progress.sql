-- The steps of the run $1 in order of definition, of a workflow in the order in which they were recorded, without what
-- they were given and have given. Called by the API and the dashboard. Takes no locks. Errors: none.
select shown.step, shown.kind, shown.state, shown.needs, known.condition, shown.tasks, shown.tasks_done,
       shown.attempts, shown.reason, shown.signal, shown.started_at, shown.ended_at, shown.undone_at
  from postmill.run_steps as shown
  left join postmill.flow_steps as known
       on known.step = shown.step
          and known.version_id = (select run.version_id from postmill.runs as run where run.run_id = $1::bigint)
 where shown.run_id = $1::bigint
 order by shown.place, shown.started_at, shown.step
