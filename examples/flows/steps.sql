-- One row a step of a run that has begun, in the order in which they began. `tasks` and `ended` are those of a map.
select told.step,
       told.state,
       told.tasks,
       told.tasks_done as ended,
       left(coalesce(told.reason, kept.output::text), 72) as came_of_it
  from postmill.run_steps as told
  join postmill.steps as kept using (run_id, step)
 where told.run_id = $1
   and told.state <> 'waiting'
 order by coalesce(told.started_at, told.ended_at), told.step
