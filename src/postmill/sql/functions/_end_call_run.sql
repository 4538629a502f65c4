-- Trigger function: the run of a schedule ends with its call. An outcome that was unknown may become known. Then the
-- schedule's next call may be sent, if it waits for this one: those that make calls are told. SECURITY DEFINER because
-- what makes calls need not see schedules.
-- Called by the trigger end_run on call_responses. Locks and errors as _end_call_runs.
create or replace function postmill._end_call_run() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._end_call_runs(array[new.call_id]);
    perform pg_notify('postmill:calls', '');
    return null;
end
$$;
