-- What follows when steps of runs have ended: whatever they were the last sources of begins, is skipped or ends at
-- once; and again for what ended thereby, a level at a time, however deep. `cuts`: whether a step was skipped together
-- with what needs it. A run of no more leaves is completed; of a run that has ended nothing follows.
-- Returns the tasks of what has begun, which the caller sends.
-- Called by whatever ends steps, which has written their rows and locked their runs' rows by run_id, once. Lock order:
-- runs (held), then anything of these runs. Errors: those of _begin_steps.
create or replace function postmill._advance(run_ids bigint[], steps text[], cuts boolean[])
returns postmill.flow_tasks
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    ready record;
    begun record;
    tasks postmill.flow_tasks;
begin
    loop
        select * into ready from postmill._count_down(run_ids, steps, cuts);
        exit when ready.ready_runs is null;
        select * into begun from postmill._begin_steps(ready.ready_runs, ready.ready_steps, ready.ready_cuts);
        tasks := postmill._more_tasks(tasks, begun.tasks);
        exit when begun.ended_runs is null;
        run_ids := begun.ended_runs;
        steps := begun.ended_steps;
        cuts := begun.ended_cuts;
    end loop;
    return tasks;
end
$$;
