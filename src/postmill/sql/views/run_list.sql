-- Every run that is kept, for people and dashboards, without input and output. `state`: running, waiting (for a
-- signal, a time or another run, and nothing else), paused, undoing, completed, failed or cancelled. `blocked` says in
-- words why it does not go on by itself. `culprit`: the step for whose sake it has failed. `due_at`: of a workflow's
-- run that waits, when it goes on at the latest. Only a run that is running is looked into: a list of one state goes
-- through every run.
create or replace view postmill.run_list as
select run.run_id, run.flow, version.version, version.kind,
       case run.state when 'running' then postmill._run_state(run) else run.state end as state,
       postmill._blocked(run) as blocked, run.culprit,
       run.reason, run.key, run.tags, run.priority, run.started_at, run.ended_at, run.deadline, run.waits_for,
       run.parent_run, run.parent_step, run.forked_from,
       case run.state when 'waiting' then run.due_at end as due_at
  from postmill.runs as run
  join postmill.flow_versions as version using (version_id);
