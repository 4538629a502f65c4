-- One row a step of a run that has begun, in the order in which they began. `tasks` and `ended` are those of a map.
select step,
       state,
       tasks,
       tasks - tasks_left as ended,
       left(coalesce(reason, output::text), 72) as came_of_it
  from postmill.steps
 where run_id = $1
   and state <> 'waiting'
 order by coalesce(started_at, ended_at), step
