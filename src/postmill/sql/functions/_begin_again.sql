-- Has a run of a graph go on from its records: counts anew what each step waits for, and starts what has been started
-- and did not end, what has failed, and what is ready. What runs at this moment may run a second time; the first end
-- counts. Of a map only the items that have not succeeded are sent.
-- Called by retry_run, fork_run and import_run, which hold the run's row; it is `running`. Lock order: run (held), its
-- steps and items, signals, queues. Errors: those of _advance.
create or replace function postmill._begin_again(run_id bigint) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    id    constant bigint := _begin_again.run_id;
    next  record;
    ended record;
    tasks postmill.flow_tasks;
begin
    delete from postmill.held_tasks as held where held.run_id = id;
    -- Locks the steps' rows: items of maps are settled under these, without the run's.
    perform from postmill.steps as step where step.run_id = id order by step.step for no key update;
    with known as materialized (
        select defined.*, had.state, had.tasks is not null as is_spread,
               had.state in ('completed', 'skipped') as has_ended, postmill._is_cut(had, defined) as is_cut
        from postmill.runs as run
        join postmill.flow_steps as defined using (version_id)
        left join postmill.steps as had on had.run_id = id and had.step = defined.step
        where run.run_id = id
    ), counted as (
        select known.step, known.kind, known.state, known.is_spread, known.needs,
               (select count(*) from known as source
                where source.step = any (known.needs) and source.has_ended is not true)::integer as deps_left,
               exists (select from known as source
                       where source.step = any (known.needs) and source.has_ended and source.is_cut) as cut
        from known where known.has_ended is not true
    ), waits as (
        insert into postmill.steps as step (run_id, step, state, deps_left, cut)
        select id, counted.step, 'waiting', counted.deps_left, counted.cut from counted
        where counted.deps_left > 0 and counted.deps_left < cardinality(counted.needs)
        on conflict on constraint steps_pkey do update
        set state = 'waiting', deps_left = excluded.deps_left, cut = excluded.cut, changed = pg_current_xact_id()
    ), leaves as (
        update postmill.runs as run
        set leaves_left = (select count(*) from known where known.dependents = '{}' and known.has_ended is not true)
        where run.run_id = id
    )
    select array_agg(counted.step) filter (where not counted.goes_on) as steps,
           array_agg(counted.cut) filter (where not counted.goes_on) as cuts,
           array_agg(counted.step) filter (where counted.goes_on) as going_on
    into next
    from (select counted.step, counted.cut,
                 counted.state in ('started', 'failed') and (counted.is_spread or counted.kind = 'run') is true
                 as goes_on
          from counted where counted.deps_left = 0) as counted;
    if next.going_on is not null then
        perform postmill._go_on(id, next.going_on);
    end if;
    if next.steps is not null then
        ended := postmill._begin_steps(array_fill(id, array[cardinality(next.steps)]), next.steps, next.cuts);
        tasks := ended.tasks;
        if ended.ended_runs is not null then
            tasks := postmill._more_tasks(
                tasks, postmill._advance(ended.ended_runs, ended.ended_steps, ended.ended_cuts));
        end if;
        perform postmill._send_steps(tasks);
    end if;
    update postmill.runs as run
    set state = 'completed', ended_at = clock_timestamp()
    where run.run_id = id and run.leaves_left = 0 and run.ended_at is null;
end
$$;
