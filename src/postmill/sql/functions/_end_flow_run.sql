-- Trigger function: the run of a schedule ends with the run of a flow that it has started. One that goes on after a
-- failure ends once more.
-- Called by the trigger end_schedule_run on runs. Locks and errors as _end_flow_runs.
create or replace function postmill._end_flow_run() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._end_flow_runs(array[new.run_id]);
    return null;
end
$$;
