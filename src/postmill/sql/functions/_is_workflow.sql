-- Whether a version is of a workflow, whose steps are known by its code only. Called by the functions that steer runs.
-- Takes no locks. Errors: none.
create or replace function postmill._is_workflow(version_id integer) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select version.kind = 'workflow' from postmill.flow_versions as version
    where version.version_id = _is_workflow.version_id;
$$;
