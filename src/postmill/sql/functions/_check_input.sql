-- Refuses an input that does not fit the type that the program of a version takes, as far as it has told of it.
-- Called by start_flow, fork_run and _check_known_flow. Takes no locks. Errors: PM015.
create or replace function postmill._check_input(version_id integer, input jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    known postmill.flow_versions;
    wrong text;
begin
    select v.* into known from postmill.flow_versions as v where v.version_id = _check_input.version_id;
    wrong := postmill._misfit(postmill._with_defaults(version_id, input), known.accepts, known.accepts -> '$defs');
    if wrong is not null then
        raise exception 'the input does not fit the flow %: %', quote_literal(known.flow), wrong
            using errcode = 'PM015',
                  detail = format('Nothing was started. The type is that of version %s, as a program has last '
                                  'registered it.', known.version),
                  hint = format('postmill flow show %s tells the type. One that has changed holds once its worker '
                                'has started.', known.flow);
    end if;
end
$$;
