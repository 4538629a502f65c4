-- Locks a run and returns it. Called by the functions that steer one run. Locks: the run's row. Errors: PM009 no such
-- run.
create or replace function postmill._run(run_id bigint) returns postmill.runs
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    its postmill.runs;
begin
    select * into its from postmill.runs as run where run.run_id = _run.run_id for no key update;
    if not found then
        perform postmill._refuse_missing_run(_run.run_id);
    end if;
    return its;
end
$$;
