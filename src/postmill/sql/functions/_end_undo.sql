-- Steps are undone, or can't be (then with a reason, which their rows tell); the messages were deleted by token in the
-- same statement. What is to be undone next follows, in either case. Returns how many steps were written.
-- Called by the statements undo_settle and undo_fail. Lock order: queue rows (by the caller), runs by run_id, then as
-- _undo_next. Errors: PM005 the transaction's isolation.
create or replace function postmill._end_undo(run_ids bigint[], steps text[], reasons text[]) returns integer
language plpgsql volatile
security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    goes_on bigint[];
begin
    perform postmill._check_isolation();
    perform from postmill.runs as run where run.run_id = any (run_ids) order by run.run_id for no key update;
    with ended as (
        update postmill.steps as s
           set undone_at = case when t.reason is null then clock_timestamp() end,
               reason = 'not undone: ' || t.reason, changed = pg_current_xact_id()
          from unnest(run_ids, steps, reasons) as t (run_id, step, reason)
--+ its_run
--+ its_step
         where s.run_id = any (run_ids) and s.run_id = t.run_id and s.step = t.step and s.state = 'completed'
           and s.undone_at is null and s.reason is null and run.state in ('undoing', 'failed') and step.compensates
        returning s.run_id
    )
    select array_agg(run_id) into goes_on from ended;
    if goes_on is not null then
        perform postmill._undo_next(array(select distinct run_id from unnest(goes_on) as run_id order by run_id));
    end if;
    return coalesce(cardinality(goes_on), 0);
end
$$;
