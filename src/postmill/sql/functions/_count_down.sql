-- Steps have ended: counts down the steps that need them, and the leaves that their runs wait for. A run whose last
-- leaf has ended is completed. Returns the steps that wait for nothing more, and whether what they need was cut.
-- A step's row is made when the first of its sources ends.
-- Called by _advance, with the runs' rows locked. Lock order: runs (held), steps of these runs. Errors: none.
create or replace function postmill._count_down(
    run_ids bigint[], steps text[], cuts boolean[],
    out ready_runs bigint[], out ready_steps text[], out ready_cuts boolean[]
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    next     record;
    children bigint[];
begin
    with ended as materialized (
        select t.run_id, t.cut, run.version_id, step.dependents
          from unnest(run_ids, steps, cuts) as t (run_id, step, cut)
--+ its_run
--+ its_step
         where run.state in ('running', 'paused')
    ),
    counted as (
        select each.run_id, each.step, coalesce(known.deps_left, cardinality(step.needs)) - each.ended as deps_left,
               each.cut or coalesce(known.cut, false) as cut
          from (select ended.run_id, ended.version_id, dependent as step, count(*)::integer as ended,
                       bool_or(ended.cut) as cut
                  from ended cross join unnest(ended.dependents) as dependent
                 group by ended.run_id, ended.version_id, dependent) as each
         cross join lateral (
               select d.needs from postmill.flow_steps as d
                where d.version_id = each.version_id and d.step = each.step offset 0) as step
          left join lateral (
               select k.state, k.deps_left, k.cut from postmill.steps as k
                where k.run_id = each.run_id and k.step = each.step offset 0) as known on true
         where known.state is null or known.state = 'waiting'
    )
    select (select array_agg(ended.run_id) from ended where dependents = '{}') as leaves,
           array_agg(run_id) filter (where deps_left <= 0) as ready_runs,
           array_agg(step) filter (where deps_left <= 0) as ready_steps,
           array_agg(cut) filter (where deps_left <= 0) as ready_cuts,
           array_agg(run_id) filter (where deps_left > 0) as runs,
           array_agg(step) filter (where deps_left > 0) as steps,
           array_agg(deps_left) filter (where deps_left > 0) as deps_left,
           array_agg(cut) filter (where deps_left > 0) as cuts
      into next
      from counted;
    ready_runs := next.ready_runs;
    ready_steps := next.ready_steps;
    ready_cuts := next.ready_cuts;
    if next.runs is not null then
        insert into postmill.steps as step (run_id, step, state, deps_left, cut)
        select t.run_id, t.step, 'waiting', t.deps_left, t.cut
          from unnest(next.runs, next.steps, next.deps_left, next.cuts) as t (run_id, step, deps_left, cut)
            on conflict (run_id, step) do update
               set deps_left = excluded.deps_left, cut = excluded.cut, changed = pg_current_xact_id();
    end if;
    if next.leaves is not null then
        with completed as (
            update postmill.runs as run
               set leaves_left = run.leaves_left - leaf.ended,
                   state = case when run.leaves_left = leaf.ended then 'completed' else run.state end,
                   ended_at = case when run.leaves_left = leaf.ended then clock_timestamp() end,
                   changed = pg_current_xact_id()
              from (select id, count(*)::integer as ended from unnest(next.leaves) as id group by id) as leaf
             where run.run_id = any (next.leaves) and run.run_id = leaf.id
            returning run.run_id, run.state, run.parent_run
        )
        select array_agg(run_id) into children from completed where state = 'completed' and parent_run is not null;
        if children is not null then
            perform postmill._tell_parents(children);
        end if;
    end if;
end
$$;
