-- Starts a new run of the same version that begins at `step`: it has what the first run had done outside of that step
-- and of what needs it, and had not undone. `input`: instead of the first run's. `outputs`: {step: output} to go on
-- with; such a step is done, and what needs it is done anew. Without `step` everything is, beside what `outputs` says.
-- Of a workflow what was recorded before `step` is kept; signals are sent anew. The new run has no key; it has as long
-- as that one had. Returns its id. Called by people, the command line and the client. Locks: the first run's row; then
-- as _begin_again. Errors: PM003 no such step, PM009 no such run, PM012 it undoes what it has done, PM015 an input that
-- does not fit.
create or replace function postmill.fork_run(
    run_id bigint, step text default null, input jsonb default null, outputs jsonb default null
) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    source postmill.runs := postmill._run(fork_run.run_id);
    given  text[] := array(select jsonb_object_keys(coalesce(fork_run.outputs, '{}')));
    made   bigint;
begin
    perform postmill._check_isolation();
    perform postmill._check_fork(source, fork_run.step, given);
    if fork_run.input is not null then
        perform postmill._check_input(source.version_id, fork_run.input);
    end if;
    insert into postmill.runs (version_id, flow, input, tags, priority, leaves_left, forked_from, time_limit, deadline)
    values (source.version_id, source.flow,
            coalesce(postmill._with_defaults(source.version_id, fork_run.input), source.input),
            source.tags, source.priority, 0, source.run_id,
            source.time_limit, clock_timestamp() + source.time_limit)
    returning runs.run_id into made;
    perform postmill._copy_steps(source, made, fork_run.step, given);
    insert into postmill.steps (run_id, step, state, output, started_at, ended_at)
    select made, edited.key, 'completed', edited.value, clock_timestamp(), clock_timestamp()
    from jsonb_each(coalesce(fork_run.outputs, '{}')) as edited;
    if postmill._is_workflow(source.version_id) then
        perform postmill._wake_again(made);
    else
        perform postmill._begin_again(made);
    end if;
    return made;
end
$$;
