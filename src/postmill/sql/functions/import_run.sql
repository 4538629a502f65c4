-- Makes a run of what export_run has written, and returns its id. One that had ended stays as it was, to be looked at,
-- retried or forked. One that had not is paused: resume_run lets it go on. It has neither key nor parent, and starts
-- anew the runs that it waited for. A flow that is unknown here is written down; of a known one the shape must be
-- known. Called by people and the command line. Locks: as register_flow, then as _begin_again. Errors: PM003 no such
-- document, PM010 a shape of a known flow that no program has registered here.
create or replace function postmill.import_run(document jsonb) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    its        jsonb := document -> 'run';
    known      integer := postmill._version_of(document);
    had_ended  boolean := its ->> 'ended_at' is not null;
    made       bigint;
begin
    insert into postmill.runs (version_id, flow, state, input, output, tags, priority, leaves_left, culprit, reason,
                               caught, retried_at, time_limit, deadline, started_at, ended_at)
    select known, document #>> '{version,flow}', case when had_ended then old.state else 'running' end,
           its -> 'input', its -> 'output', coalesce(old.tags, '{}'), old.priority, old.leaves_left, old.culprit,
           old.reason, old.caught, old.retried_at, old.time_limit, old.deadline, old.started_at, old.ended_at
    from jsonb_populate_record(null::postmill.runs, its) as old
    returning runs.run_id into made;
    insert into postmill.steps (run_id, step, state, deps_left, cut, tasks, tasks_left, next_item, output, inputs,
                                reason, attempts, due_at, undone_at, started_at, ended_at)
    select made, old.step, old.state, old.deps_left, old.cut, old.tasks, old.tasks_left, old.next_item,
           each -> 'output', old.inputs, old.reason, old.attempts, old.due_at, old.undone_at, old.started_at,
           old.ended_at
    from jsonb_array_elements(document -> 'steps') as each
    cross join jsonb_populate_record(null::postmill.steps, each) as old
    -- Without steps of a workflow that wait for another run's child: only these have arguments and no attempts.
    where old.state <> 'waiting' or old.attempts is not null or old.inputs is null;
    insert into postmill.items (run_id, step, item, value, output, reason, ended)
    select made, old.step, old.item, each -> 'value', each -> 'output', old.reason, old.ended
    from jsonb_array_elements(document -> 'items') as each
    cross join jsonb_populate_record(null::postmill.items, each) as old;
    insert into postmill.signals (run_id, name, value, many, taken_by, refused, sent_at)
    select made, old.name, each -> 'value', old.many, old.taken_by, old.refused, old.sent_at
    from jsonb_array_elements(document -> 'signals') as each
    cross join jsonb_populate_record(null::postmill.signals, each) as old;
    insert into postmill.run_events (run_id, step, name, value, said_at)
    select made, old.step, old.name, each -> 'value', old.said_at
    from jsonb_array_elements(document -> 'events') as each
    cross join jsonb_populate_record(null::postmill.run_events, each) as old;
    if had_ended then
        return made;
    elsif not postmill._is_workflow(known) then
        perform postmill._begin_again(made);
    end if;
    update postmill.runs as run set state = 'paused', reason = postmill._by_whom('imported', null)
    where run.run_id = made and run.ended_at is null;
    return made;
end
$$;
