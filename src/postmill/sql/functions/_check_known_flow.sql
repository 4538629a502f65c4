-- Refuses the name of a flow that no program has registered, and an input that its newest version does not take.
-- SECURITY DEFINER: a role that schedules flows need not see them.
-- Called by schedule_flow. Takes no locks. Errors: PM010, PM015.
create or replace function postmill._check_known_flow(flow text, input jsonb) returns void
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    newest integer := (select v.version_id from postmill.flow_versions as v where v.flow = _check_known_flow.flow
                        order by v.registered_at desc, v.version desc limit 1);
begin
    if newest is null then
        perform postmill._refuse_flow(flow);
    end if;
    perform postmill._check_input(newest, input);
end
$$;
