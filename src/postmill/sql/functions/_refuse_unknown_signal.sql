-- Says that a graph flow's run never waits for this signal, and which ones it waits for. Called by signal_run. Takes no
-- locks. Errors: PM010, always.
create or replace function postmill._refuse_unknown_signal(run_id bigint, version_id integer, name text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    known constant text[] := array(
        select distinct step.signal from postmill.flow_steps as step
         where step.version_id = _refuse_unknown_signal.version_id and step.signal is not null order by step.signal);
begin
    raise exception 'run % waits for no signal %', run_id, quote_literal(name)
        using errcode = 'PM010',
              detail = case when known = '{}' then 'No step of its flow waits for a signal.'
                            else format('Its steps wait for: %s.', array_to_string(known, ', ')) end,
              hint = coalesce(postmill._did_you_mean(name, known), format('postmill run show %s', run_id));
end
$$;
