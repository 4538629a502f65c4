-- Fails runs whose input does not fit, as only their program can tell, each with what that says. No step is at fault:
-- none is changed, whatever its `on_dead` says, and a retry begins those again that had begun. A run that has ended or
-- undoes what it has done stays as it is. The messages under which that was found were deleted by token in the same
-- statement.
-- Called by the statement run_refuse_input. Lock order: queue rows (by the caller), runs by run_id, then as _fail_runs.
-- Errors: PM005 the transaction's isolation.
create or replace function postmill._refuse_inputs(run_ids bigint[], reasons text[]) returns void
language plpgsql volatile
security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
begin
    perform postmill._check_isolation();
    perform from postmill.runs as run where run.run_id = any (run_ids) order by run.run_id for no key update;
    perform postmill._fail_runs(run_ids, array_fill(null::text, array[cardinality(run_ids)]), reasons);
end
$$;
