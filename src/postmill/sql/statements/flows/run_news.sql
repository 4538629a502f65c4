-- What has changed of run $1 since position $2, as JSON texts: first the run, with the next position; then its steps,
-- each as it is now; then at most $5 of the values that its steps have said, from place ($3, $4) on. Without a
-- position, or for one that this server has not come to: all of it. A position is the first transaction that had not
-- ended when it was read: what such a one commits later is found from there, and what had been seen may be found again.
-- As run_changes, in pages, and with what tells a stream what it has told already. No row: there is no such run.
-- Called by what watches a run. Takes no locks. Errors: none.
with here as materialized (
    select run.*, postmill._run_state(run) as told, pg_snapshot_xmin(pg_current_snapshot()) as position,
           case when $2::text::xid8 <= pg_snapshot_xmax(pg_current_snapshot()) then $2::text::xid8 end as since
      from postmill.runs as run where run.run_id = $1::bigint
)
select change::text
  from (
    select 0 as part, 0::bigint as place, jsonb_build_object(
               'position', here.position, 'since', here.since, 'changed', here.changed, 'state', here.told,
               'culprit', here.culprit, 'reason', here.reason, 'ended', here.ended_at is not null) as change
      from here
    union all
    select 1, row_number() over (order by known.ended_at nulls last, known.started_at, known.step), jsonb_build_object(
               'changed', known.changed, 'step', known.step, 'state', known.state, 'tasks', known.tasks,
               'tasks_left', known.tasks_left, 'attempts', known.attempts, 'reason', known.reason)
      from here join postmill.steps as known using (run_id)
     where here.since is null or known.changed >= here.since
    union all
    (select 2, row_number() over (order by said.changed, said.event_id), jsonb_build_object(
               'changed', said.changed, 'event_id', said.event_id, 'step', said.step, 'name', said.name,
               'value', said.value)
      from here join postmill.run_events as said using (run_id)
     where (said.changed, said.event_id) > (coalesce($3::text::xid8, here.since, '0'::xid8), $4::bigint)
     order by said.changed, said.event_id
     limit $5::integer)
  ) as found (part, place, change)
 order by part, place
