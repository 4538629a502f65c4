-- Starts a run of another flow for a step of a workflow's run, and returns the child's id; null where the run does not
-- run, or was woken since. The child's key is made of run and step: a step that is tried again after a crash finds the
-- same child. With `awaited` the step waits for the child's end, of which the child sends the run a message; else the
-- child is on its own. `inputs`: what is kept of the step's arguments.
-- Called by the statement run_start_child. Lock order: the parent's run, then what start_flow takes; the child is new,
-- or is not locked. Errors: those of start_flow; PM005 (see _check_isolation).
create or replace function postmill._start_child(
    run_id bigint, wake integer, step text, flow text, input jsonb, awaited boolean, inputs text
) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    its_key      constant text := postmill._child_key(run_id, step);
    its_priority integer;
    child        bigint;
begin
    perform postmill._check_isolation();
    select r.priority into its_priority
      from postmill.runs as r
     where r.run_id = _start_child.run_id and r.wake = _start_child.wake and r.state = 'running'
       for no key update;
    if not found then
        return null;
    end if;
    child := postmill.start_flow(
        flow => _start_child.flow, input => _start_child.input, key => its_key, priority => its_priority);
    if awaited then
        update postmill.runs as c
           set parent_run = _start_child.run_id, parent_step = _start_child.step
         where c.run_id = child and c.parent_run is null and c.ended_at is null;
        insert into postmill.steps (run_id, step, state, inputs, started_at)
        values (_start_child.run_id, _start_child.step, 'waiting', _start_child.inputs, clock_timestamp())
        on conflict on constraint steps_pkey do nothing;
        perform postmill._tell_parents(array[child])
           from postmill.runs as c where c.run_id = child and c.ended_at is not null;
    end if;
    return child;
end
$$;
