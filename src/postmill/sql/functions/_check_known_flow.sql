-- Refuses the name of a flow that no program has registered. SECURITY DEFINER: a role that schedules flows need not
-- see them. Called by schedule_flow. Takes no locks. Errors: PM010.
create or replace function postmill._check_known_flow(flow text) returns void
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from postmill.flow_versions as version where version.flow = _check_known_flow.flow) then
        perform postmill._refuse_flow(flow);
    end if;
end
$$;
