-- A step of a failed run that is still to be undone, since it ended when the run had failed; null: there is none. One
-- whose message to that end was deleted, or whose queue is gone, will never be undone and is none.
-- Called by retry_run and _check_fork, with the run's row locked. Takes no locks. Errors: none.
create or replace function postmill._still_undone(run postmill.runs) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    late  record;
    found boolean;
begin
    for late in
        select its.step, postmill._queue_of_task(run.version_id, its.step) as queue,
               jsonb_build_object('run', run.run_id, 'step', its.step, 'undo', true) as message
        from postmill.steps as its
        join postmill.flow_steps as known
            on known.version_id = run.version_id and known.step = its.step and known.compensates
        where run.state = 'failed' and its.run_id = run.run_id and its.state = 'completed'
          and its.undone_at is null and its.reason is null
        order by its.step
    loop
        found := exists (select from postmill.held_tasks as held
                         where held.run_id = run.run_id and held.message @> late.message);
        if not found and postmill._has_queue(late.queue) then
            execute format('select exists (select from %s where message @> $1)', postmill._queue_table(late.queue))
            into found using late.message;
        end if;
        if found then
            return late.step;
        end if;
    end loop;
    return null;
end
$$;
