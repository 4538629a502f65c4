-- The input of a run of a version: what is given, and the defaults of the fields that an object lacks.
-- Called by start_flow, _start_run, _check_input and fork_run. Takes no locks. Errors: none.
create or replace function postmill._with_defaults(version_id integer, input jsonb) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when jsonb_typeof(input) = 'object' then version.defaults || input else input end
    from postmill.flow_versions as version where version.version_id = _with_defaults.version_id
$$;
