-- Copies what a run has done to another run of its version: all but `from_step` and what needs it, what needs a step
-- whose output is `given`, and what was undone and needs that. Of a workflow what was recorded before `from_step`, and
-- was not undone.
-- Called by fork_run, with the first run's row locked. Locks: none beyond the inserts'. Errors: none.
create or replace function postmill._copy_steps(source postmill.runs, made bigint, from_step text, given text[])
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    kept text[];
begin
    if postmill._is_workflow(source.version_id) then
        kept := array(
            select done.step from postmill.steps as done
            where done.run_id = source.run_id and done.state in ('completed', 'failed') and done.undone_at is null
              and done.ended_at < (select coalesce(first.ended_at, 'infinity') from postmill.steps as first
                                   where first.run_id = source.run_id and first.step = from_step));
    else
        kept := array(
            select done.step from postmill.steps as done
            where done.run_id = source.run_id and done.state in ('completed', 'skipped')
              and from_step is not null
              and done.step <> all (postmill._followers(source.version_id, given || from_step || array(
                  select undone.step from postmill.steps as undone
                  where undone.run_id = source.run_id and undone.undone_at is not null))));
    end if;
    insert into postmill.steps (run_id, step, state, cut, tasks, tasks_left, next_item, output, inputs, reason,
                                attempts, started_at, ended_at)
    select made, done.step, done.state, done.cut, done.tasks, done.tasks_left, done.next_item, done.output,
           done.inputs, done.reason, done.attempts, done.started_at, done.ended_at
    from postmill.steps as done
    where done.run_id = source.run_id and done.step = any (kept) and done.step <> all (given)
    order by done.step;
    insert into postmill.items (run_id, step, item, output, reason)
    select made, item.step, item.item, item.output, item.reason
    from postmill.items as item
    where item.run_id = source.run_id and item.step = any (kept) and item.step <> all (given) and item.ended;
end
$$;
