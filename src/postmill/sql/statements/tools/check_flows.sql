-- Flows that want a look, with their `trouble`: blocked (a task of a run was held for want of a worker with its
-- version), overdue (a deadline passed more than $1 seconds ago, and no process has ended the run) or failing (the last
-- three runs that ended all failed). Of each its oldest run, why, and how many.
-- Called by: db checks. Takes no locks. Errors: none.
with held as (
    select run.flow, 'blocked' as trouble, min(run.run_id) as run_id, count(distinct run.run_id) as runs,
           min(format('no worker for version %s', version.version) || coalesce(' (step ' || held.step || ')', ''))
           as why
      from postmill.held_tasks as held
      join postmill.runs as run using (run_id)
      join postmill.flow_versions as version using (version_id)
     where held.why = 'version' and run.ended_at is null
     group by run.flow
), overdue as (
    select run.flow, 'overdue' as trouble, min(run.run_id) as run_id, count(*) as runs, null::text as why
      from postmill.runs as run
     where run.deadline < clock_timestamp() - $1::float8 * interval '1 second' and run.ended_at is null
       and run.state <> 'undoing'
     group by run.flow
), failing as (
    select known.flow, 'failing' as trouble, max(last.run_id) as run_id, count(*) as runs,
           (array_agg(concat_ws(': ', last.culprit, left(split_part(last.reason, chr(10), 1), 200))
                      order by last.run_id desc))[1] as why
      from (select distinct version.flow from postmill.flow_versions as version) as known
     cross join lateral (
           select run.run_id, run.state, run.culprit, run.reason from postmill.runs as run
            where run.flow = known.flow and run.ended_at is not null
            order by run.run_id desc limit 3) as last
     group by known.flow
    having count(*) = 3 and bool_and(last.state = 'failed')
)
select * from held union all select * from overdue union all select * from failing
 order by flow
 limit 100
