-- Steps wait for nothing more: each is started, or it is skipped, or it ends at once (a map of no items, a wait whose
-- signal is there). Returns those that have ended thereby, whether they cut what needs them, and the tasks of those
-- that have started: a sleep's is due when it is over, and a wait has one only if it ends by itself, its time-out.
-- A map over what is no list fails, as `on_dead` says, and so does a step whose group is no key; a step whose condition
-- is not met and may not be skipped fails its run. `not_before`: when the first tasks of a run are due.
-- Called by _advance, _start_run and _begin_again, with the runs' rows locked. Lock order: runs (held), signals, steps
-- and items of these runs, as _fail_runs. Errors: those of _fail_runs.
create or replace function postmill._begin_steps(
    run_ids bigint[], steps text[], cuts boolean[], not_before timestamptz default null,
    out ended_runs bigint[], out ended_steps text[], out ended_cuts boolean[], out tasks postmill.flow_tasks
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    at     constant timestamptz := clock_timestamp();
    next record;
begin
    with decided as materialized (
        select t.run_id, run.flow, t.step, t.cut, m.met, found.value, judged.*, step.kind, step.on_unmet, step.on_dead,
               case when t.cut then 'skipped'
                    when not m.met and step.on_unmet = 'fail'
                         or m.met and judged.reason is not null and step.on_dead in ('fail', 'collect') then 'failed'
                    when judged.reason is not null then 'skipped'
                    when judged.tasks = 0 or step.kind = 'wait' and found.value is not null then 'completed'
                    else 'started' end as state,
               step.kind <> 'wait' or step.chosen ? 'timeout_s' as has_task,
               coalesce(step.chosen ->> 'queue', version.queue_name) as queue,
               coalesce((step.chosen ->> 'priority')::integer, run.priority) as priority,
               case when m.met and step.kind = 'step' and step.chosen ? 'group'
                    then postmill._group_of_task(step.chosen -> 'group', t.run_id, run.input, null) end as group_key,
               coalesce(not_before, at) + interval '1 second' * coalesce((step.chosen ->> case
                   when step.kind = 'wait' then 'timeout_s' else 'delay_s' end)::float8, 0) as due_at
          from unnest(run_ids, steps, cuts) as t (run_id, step, cut)
--+ its_run
--+ its_version
--+ its_step
         cross join lateral (
               select not t.cut and (step.condition is null
                                     or postmill._condition_met(step.condition, t.run_id, run.input)) as met
               offset 0) as m
         cross join lateral (
               select case when not m.met then null
                           when step.kind = 'map' then postmill._list_of(step.over, t.run_id, run.input)
                           when step.kind = 'wait' then postmill._take_signal(t.run_id, step.signal, t.step)
                           end as value
               offset 0) as found
         cross join lateral (
               select case when m.met and step.kind = 'map' and jsonb_typeof(found.value) = 'array'
                           then jsonb_array_length(found.value) end as tasks,
                      case when t.cut then 'dependency_skipped'
                           when not m.met then 'condition_unmet'
                           else coalesce(
                               case when step.kind = 'map' then postmill._no_list(step.over, found.value) end,
                               case when step.chosen ? 'group' then postmill._no_group(
                                   step.chosen -> 'group', t.run_id, run.input, found.value) end) end as reason
               offset 0) as judged
         where run.state in ('running', 'paused')
    ),
    written as (
        insert into postmill.steps as s
               (run_id, step, state, cut, tasks, tasks_left, output, reason, started_at, ended_at)
        select run_id, step, state, cut, decided.tasks, decided.tasks,
               case when state = 'completed' then value end, reason,
               case when met then at end, case when state <> 'started' then at end
          from decided
            on conflict (run_id, step) do update
               set state = excluded.state, deps_left = 0, cut = excluded.cut, tasks = excluded.tasks,
                   tasks_left = excluded.tasks_left, next_item = null, output = excluded.output,
                   reason = excluded.reason, started_at = excluded.started_at, ended_at = excluded.ended_at,
                   changed = pg_current_xact_id()
    )
    select array_agg(run_id) filter (where ends) as runs, array_agg(step) filter (where ends) as steps,
           array_agg(state = 'skipped' and (cut or case when met then on_dead else on_unmet end = 'skip_cascade'))
               filter (where ends) as cuts,
           array_agg(run_id) filter (where state = 'failed') as failed_runs,
           array_agg(step) filter (where state = 'failed') as culprits,
           array_agg(reason) filter (where state = 'failed') as reasons,
           array_agg(run_id) filter (where sends) as task_runs, array_agg(step) filter (where sends) as task_steps,
           array_agg(queue) filter (where sends) as queues, array_agg(due_at) filter (where sends) as due_at,
           array_agg(jsonb_build_object('run', run_id, 'flow', flow, 'step', step)) filter (where sends) as messages,
           array_agg(priority) filter (where sends) as priorities,
           case when count(group_key) > 0 then array_agg(group_key) filter (where sends) end as groups,
           array_agg(run_id) filter (where spreads) as map_runs, array_agg(step) filter (where spreads) as map_steps,
           array_agg(value) filter (where spreads) as lists
      into next
      from (select *, state in ('skipped', 'completed') as ends,
                   state = 'started' and decided.tasks is not null as spreads,
                   state = 'started' and decided.tasks is null and has_task as sends
              from decided) as each;
    ended_runs := next.runs;
    ended_steps := next.steps;
    ended_cuts := next.cuts;
    tasks := row(next.task_runs, next.task_steps, next.queues, next.due_at, next.messages, next.priorities,
                 next.groups);
    if next.failed_runs is not null then
        perform postmill._fail_runs(next.failed_runs, next.culprits, next.reasons);
    end if;
    if next.map_runs is not null then
        tasks := postmill._more_tasks(
            tasks, postmill._fan_out(next.map_runs, next.map_steps, next.lists, coalesce(not_before, at)));
    end if;
end
$$;
