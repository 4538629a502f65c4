-- The group of a task that is sent again. Null: it has none, as what undoes a step has none.
-- Called by _hold_tasks and _send_held. Takes no locks. Errors: none.
create or replace function postmill._group_of_held(run_id bigint, step text, message jsonb) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select postmill._group_of_task(known.chosen -> 'group', run.run_id, run.input, message -> 'value')
      from postmill.runs as run join postmill.flow_steps as known using (version_id)
     where run.run_id = _group_of_held.run_id and known.step = _group_of_held.step
       and known.chosen ? 'group' and not message ? 'undo';
$$;
