-- Steps wait for nothing more: each is started and its tasks are sent, or it is skipped, or it ends at once (a map of
-- no items, a wait whose signal is there). Returns those that have ended thereby, and whether they cut what needs them.
-- A map over what is no list fails, as `on_dead` says; a step whose condition is not met and may not be skipped fails
-- its run, and so does a queue that is gone. `not_before`: when the first tasks of a run are due.
-- Called by _advance and _start_run, with the runs' rows locked. Lock order: runs (held), signals, steps and items of
-- these runs, queues as _send_tasks. Errors: those of _send_tasks.
create or replace function postmill._begin_steps(
    run_ids bigint[], steps text[], cuts boolean[], not_before timestamptz default null,
    out ended_runs bigint[], out ended_steps text[], out ended_cuts boolean[]
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_sort = on
set jit = off
as $$
declare
    at     constant timestamptz := clock_timestamp();
    next record;
begin
    with ready as materialized (
        select t.run_id, t.step, t.cut, step.version_id, step.kind, step.condition, step.on_unmet, step.on_dead,
               step.over, step.signal, run.input,
               not t.cut and (step.condition is null
                              or postmill._condition_met(step.condition, t.run_id, run.input)) as met
          from unnest(run_ids, steps, cuts) as t (run_id, step, cut)
--+ its_run
--+ its_step
         where run.state in ('running', 'paused')
    ),
    found as materialized (
        select ready.*,
               case when met and kind = 'map' then postmill._list_of(over, ready.run_id, input)
                    when met and kind = 'wait' then postmill._take_signal(ready.run_id, signal, ready.step) end as value
          from ready
    ),
    judged as materialized (
        select found.*,
               case when met and kind = 'map' and jsonb_typeof(value) = 'array'
                    then jsonb_array_length(value) end as tasks,
               case when cut then 'dependency_skipped'
                    when not met then 'condition_unmet'
                    when kind = 'map' and jsonb_typeof(value) is distinct from 'array'
                    then format('a map needs a list, and %s is %s',
                                concat_ws('.', over ->> 'of', nullif(array_to_string(array(
                                    select jsonb_array_elements_text(over -> 'path')), '.'), '')),
                                coalesce('a JSON ' || jsonb_typeof(value), 'not there'))
                    end as reason
          from found
    ),
    decided as materialized (
        select judged.*,
               case when cut then 'skipped'
                    when not met and on_unmet = 'fail' or met and reason is not null and on_dead in ('fail', 'collect')
                    then 'failed'
                    when reason is not null then 'skipped'
                    when tasks = 0 or kind = 'wait' and value is not null then 'completed'
                    else 'started' end as state
          from judged
    ),
    written as (
        insert into postmill.steps as s
               (run_id, step, state, cut, tasks, tasks_left, output, reason, started_at, ended_at)
        select run_id, step, state, cut, tasks, tasks,
               case when state = 'completed' then value end, reason,
               case when met then at end, case when state <> 'started' then at end
          from decided
            on conflict (run_id, step) do update
               set state = excluded.state, deps_left = 0, cut = excluded.cut, tasks = excluded.tasks,
                   tasks_left = excluded.tasks_left, next_item = null, output = excluded.output,
                   reason = excluded.reason, started_at = excluded.started_at, ended_at = excluded.ended_at,
                   changed = pg_current_xact_id()
    )
    select array_agg(run_id) filter (where state in ('skipped', 'completed')) as runs,
           array_agg(step) filter (where state in ('skipped', 'completed')) as steps,
           array_agg(state = 'skipped' and (cut or case when met then on_dead else on_unmet end = 'skip_cascade'))
               filter (where state in ('skipped', 'completed')) as cuts,
           array_agg(run_id) filter (where state = 'failed') as failed_runs,
           array_agg(step) filter (where state = 'failed') as culprits,
           array_agg(reason) filter (where state = 'failed') as reasons,
           array_agg(run_id) filter (where state = 'started' and tasks is null) as single_runs,
           array_agg(step) filter (where state = 'started' and tasks is null) as single_steps,
           array_agg(run_id) filter (where state = 'started' and tasks is not null) as map_runs,
           array_agg(step) filter (where state = 'started' and tasks is not null) as map_steps,
           array_agg(value) filter (where state = 'started' and tasks is not null) as lists
      into next
      from decided;
    ended_runs := next.runs;
    ended_steps := next.steps;
    ended_cuts := next.cuts;
    if next.failed_runs is not null then
        perform postmill._fail_runs(next.failed_runs, next.culprits, next.reasons);
    end if;
    if next.single_runs is not null then
        perform postmill._start_steps(next.single_runs, next.single_steps, coalesce(not_before, at));
    end if;
    if next.map_runs is not null then
        perform postmill._fan_out(next.map_runs, next.map_steps, next.lists, coalesce(not_before, at));
    end if;
end
$$;
