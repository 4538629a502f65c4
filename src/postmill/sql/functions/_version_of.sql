-- The version that an exported run belongs to. A flow that is unknown here is written down first; a new shape of a
-- known flow is refused, because runs are started with the newest.
-- Called by import_run. Locks: as register_flow. Errors: PM003 no such document, PM010 a shape that is unknown.
create or replace function postmill._version_of(document jsonb) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    its   jsonb := document -> 'version';
    known integer;
begin
    if document ->> 'postmill_run' is distinct from '1' or jsonb_typeof(its -> 'shape') is distinct from 'object'
        or jsonb_typeof(document #> '{run,input}') is null
    then
        raise exception 'this is no run that postmill.export_run has written'
            using errcode = 'PM003', hint = 'postmill run export 7 > run-7.json';
    end if;
    if not exists (select from postmill.flow_versions as version where version.flow = its ->> 'flow') then
        perform postmill.register_flow(its ->> 'flow', its ->> 'kind', its ->> 'queue', its -> 'shape',
                                       its -> 'chosen');
    end if;
    select version.version_id into known from postmill.flow_versions as version
    where version.flow = its ->> 'flow' and md5(version.shape::text) = md5((its -> 'shape')::text);
    if known is null then
        raise exception 'flow % has no such shape here', quote_literal(its ->> 'flow')
            using errcode = 'PM010', detail = 'The run is of a version that no program has registered here.',
                  hint = 'Run a worker with the program that the run is of.';
    end if;
    return known;
end
$$;
