-- Makes a run of a version and begins its first steps; of a workflow, sends its first message. Returns its id, or null
-- when the key is taken.
-- Called by start_flow and _start_children. Lock order: the new run's row, then as _begin_steps. Errors: those of
-- _begin_steps; PM001 the queue of a workflow is gone.
create or replace function postmill._start_run(
    version_id integer, input jsonb, key text, delay interval, tags text[], deadline interval, priority integer,
    parent_run bigint default null, parent_step text default null
) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
#variable_conflict use_column
declare
    known  postmill.flow_versions;
    due_at constant timestamptz := clock_timestamp() + coalesce(delay, interval '0');
    made   bigint;
    first  record;
    tasks  postmill.flow_tasks;
begin
    select v.* into known from postmill.flow_versions as v where v.version_id = _start_run.version_id;
    insert into postmill.runs
           (version_id, flow, input, key, tags, priority, leaves_left, parent_run, parent_step, time_limit,
            deadline)
    values (known.version_id, known.flow, postmill._with_defaults(known.version_id, _start_run.input),
            _start_run.key, coalesce(_start_run.tags, '{}'), _start_run.priority, known.leaves,
            _start_run.parent_run, _start_run.parent_step,
            coalesce(_start_run.deadline, known.deadline),
            clock_timestamp() + coalesce(_start_run.deadline, known.deadline))
        on conflict (flow, key) where key is not null do nothing
    returning run_id into made;
    if made is null then
        return null;
    elsif known.kind = 'workflow' then
        perform postmill._send_steps(row(
            array[made], array[null::text], array[known.queue_name], array[due_at],
            array[jsonb_build_object('run', made, 'wake', 0)], array[priority], null)::postmill.flow_tasks);
        return made;
    end if;
    select * into first
      from (select array_agg(made) as runs, array_agg(s.step order by s.place) as steps, array_agg(false) as cuts
              from postmill.flow_steps as s where s.version_id = known.version_id and s.needs = '{}') as roots
     cross join lateral postmill._begin_steps(roots.runs, roots.steps, roots.cuts, due_at);
    tasks := first.tasks;
    if first.ended_runs is not null then
        tasks := postmill._more_tasks(
            tasks, postmill._advance(first.ended_runs, first.ended_steps, first.ended_cuts));
    end if;
    perform postmill._send_steps(tasks);
    return made;
end
$$;
