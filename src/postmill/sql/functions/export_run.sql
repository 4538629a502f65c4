-- A run with all that is kept of it, as one JSON document: what import_run takes, in another database too. It has the
-- input and every output; a null that is an output is told from none, which is left out.
-- Called by people and the command line. Takes no locks. Errors: PM009 no such run.
create or replace function postmill.export_run(run_id bigint) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    id       constant bigint := export_run.run_id;
    document jsonb;
begin
    select jsonb_build_object(
        'postmill_run', 1,
        'version', jsonb_build_object(
            'flow', version.flow, 'version', version.version, 'kind', version.kind, 'queue', version.queue_name,
            'shape', version.shape,
            'chosen', (select coalesce(jsonb_object_agg(known.step, known.chosen), '{}')
                       from postmill.flow_steps as known where known.version_id = run.version_id)),
        'run', to_jsonb(run) - array['version_id', 'changed', case when run.output is null then 'output' end],
        'steps', (select coalesce(jsonb_agg(
                      to_jsonb(its) - array['run_id', 'changed', case when its.output is null then 'output' end]
                      order by its.step), '[]')
                  from postmill.steps as its where its.run_id = id),
        'items', (select coalesce(jsonb_agg(
                      to_jsonb(its) - array['run_id', case when its.output is null then 'output' end]
                      order by its.step, its.item), '[]')
                  from postmill.items as its where its.run_id = id),
        'signals', (select coalesce(jsonb_agg(to_jsonb(signal) - array['run_id', 'signal_id']
                                              order by signal.signal_id), '[]')
                    from postmill.signals as signal where signal.run_id = id),
        'events', (select coalesce(jsonb_agg(to_jsonb(event) - array['run_id', 'event_id', 'changed']
                                             order by event.event_id), '[]')
                   from postmill.run_events as event where event.run_id = id))
    into document
    from postmill.runs as run join postmill.flow_versions as version using (version_id)
    where run.run_id = id;
    if document is null then
        perform postmill._refuse_missing_run(id);
    end if;
    return document;
end
$$;
