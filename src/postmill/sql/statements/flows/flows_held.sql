-- Whether tasks of flow $1 in the shape $2 (JSON text) were held because a worker lacked their step. Called by: flows
-- keeper. Takes no locks. Errors: none.
select exists (
    select from postmill.held_tasks as held
      join postmill.runs as run using (run_id)
      join postmill.flow_versions as version using (version_id)
     where held.why = 'version' and version.flow = $1::text and md5(version.shape::text) = md5($2::text::jsonb::text)
) as held
