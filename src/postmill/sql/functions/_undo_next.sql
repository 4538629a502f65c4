-- Of runs that undo what they have done, sends the task that undoes the step that ended last and is not undone; one at
-- a time. A run with nothing left to undo has failed.
-- Called by _fail_runs and _end_undo, with the runs' rows locked. Lock order: runs (held), queues, as _tell_parents.
-- Errors: those of _send_tasks.
create or replace function postmill._undo_next(run_ids bigint[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    due      record;
    refused  text[] := '{}';
    children bigint[];
begin
    select array_agg(t.run_id) as runs, array_agg(last.step) as steps, array_agg(last.queue) as queues,
           array_agg(clock_timestamp()) as due_at,
           array_agg(jsonb_build_object('run', t.run_id, 'flow', run.flow, 'step', last.step,
                                        'undo', true)) as messages,
           array_agg(run.priority::integer) as priorities
      into due
      from unnest(run_ids) as t (run_id)
--+ its_run
--+ its_version
     cross join lateral (
           select s.step, coalesce(d.chosen ->> 'queue', version.queue_name) as queue
             from postmill.flow_steps as d
             join postmill.steps as s on s.run_id = t.run_id and s.step = d.step
            where d.version_id = run.version_id and d.compensates
              and s.state = 'completed' and s.undone_at is null and s.reason is null
            order by s.ended_at desc, d.place desc
            limit 1) as last
     where run.state = 'undoing';
    if due.runs is not null then
        refused := postmill._send_tasks(due.queues, due.due_at, due.messages, due.priorities);
    end if;
    with failed as (
        update postmill.runs as run
           set state = 'failed', ended_at = clock_timestamp(), changed = pg_current_xact_id()
         where run.run_id = any (run_ids) and run.state = 'undoing'
           and run.run_id <> all (array(select t.run_id from unnest(due.runs, due.queues) as t (run_id, queue)
                                         where t.queue <> all (refused)))
        returning run.run_id, run.parent_run
    )
    select array_agg(run_id) into children from failed where parent_run is not null;
    if children is not null then
        perform postmill._tell_parents(children);
    end if;
end
$$;
