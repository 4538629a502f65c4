-- Whether tasks of this shape of a flow are held because a worker lacked their step: see register_flow, which sends
-- them again.
-- Called by the statement flows_held. Takes no locks. Errors: none.
create or replace function postmill._are_held(flow text, shape jsonb) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from postmill.held_tasks as held
          join postmill.runs as run using (run_id)
          join postmill.flow_versions as version using (version_id)
         where held.why = 'version' and version.flow = _are_held.flow
           and md5(version.shape::text) = md5(_are_held.shape::text));
$$;
