-- Says that no program has registered this flow, or this version of it. Called by what is given the name of a flow.
-- Takes no locks. Errors: PM010, always.
create or replace function postmill._refuse_flow(flow text, version integer default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    known    text[] := array(select distinct v.flow from postmill.flow_versions as v limit 1000);
    versions text := (select string_agg(known.version::text, ', ' order by known.version desc)
                        from (select * from postmill.flow_versions as v where v.flow = _refuse_flow.flow
                               order by v.version desc limit 20) as known);
begin
    raise exception 'there is no flow %',
                    coalesce(quote_literal(flow), 'null') || coalesce(' of version ' || version, '')
        using errcode = 'PM010',
              detail = coalesce('Its versions here: ' || versions || '.',
                                'No program has registered it in this database.'),
              hint = coalesce(case when versions is null then postmill._did_you_mean(flow, known) end,
                              'Start a worker with it, e.g.: postmill worker run my_module:my_flow');
end
$$;
