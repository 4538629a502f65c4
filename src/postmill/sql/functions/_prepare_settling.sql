-- Has this session make the plans that the settling of tasks needs: it takes the same way for a run that does not
-- exist, so that nothing is changed. `own`: as in _settle_steps.
-- Called by the statement step_prepare. Takes no locks. Errors: PM005 the transaction's isolation.
create or replace function postmill._prepare_settling(own text) returns void
language plpgsql volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._settle_steps('{0,0}', array['', ''], '{0,null}', '{0,0}', own);
    perform postmill._advance('{0}', array[''], '{f}');
    perform postmill._begin_steps('{0}', array[''], '{f}');
end
$$;
