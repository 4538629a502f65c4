-- Ends a run as cancelled, with every run that it has started. A step that runs at this moment goes on to its end,
-- which then counts for nothing, unless it is on a cluster: there its worker ends it. Its tasks that wait are dropped
-- when a worker claims them. What the run has done is not undone. Returns false when it had ended before.
-- Called by people, the command line and the client. Locks: as _cancel_runs. Errors: PM009 no such run.
create or replace function postmill.cancel_run(run_id bigint, reason text default null) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._run(cancel_run.run_id);
    return cardinality(postmill._cancel_runs(array[cancel_run.run_id],
                                             postmill._by_whom('cancelled', cancel_run.reason))) > 0;
end
$$;
