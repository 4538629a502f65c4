-- Lets go of the runs that these steps of a run have started, since the steps begin anew, maybe with other input: those
-- that a step has waited for are runs of their own from here on, and are cancelled where they go on; those that a
-- durable function has only started lose the key by which it would find them.
-- Called by retry_run, which holds the run's row. Locks: the children by id, then as _cancel_runs. Errors: none.
create or replace function postmill._leave_children(run_id bigint, steps text[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    awaited constant bigint[] := array(
        select child.run_id from postmill.runs as child
        where child.parent_run = _leave_children.run_id and child.parent_step = any (steps)
        order by child.run_id for no key update);
    live    bigint[];
begin
    update postmill.runs as child set key = null, changed = pg_current_xact_id()
    from postmill.steps as step
    where step.run_id = _leave_children.run_id and step.step = any (steps)
      and child.run_id = case when step.output::text ~ '^[0-9]{1,18}$' then step.output::text::bigint end
      and child.key = postmill._child_key(step.run_id, step.step);
    with own as (
        update postmill.runs as child
        set parent_run = null, parent_step = null, key = null, changed = pg_current_xact_id()
        where child.run_id = any (awaited)
        returning child.run_id, child.ended_at
    )
    select array_agg(own.run_id) into live from own where own.ended_at is null;
    if live is not null then
        perform postmill._cancel_runs(live, 'cancelled: the run that waited for it begins anew');
    end if;
end
$$;
