-- When a step that sleeps is over. Called by _blocked_steps. Takes no locks. Errors: none.
create or replace function postmill._sleeps_until(step postmill.steps, known postmill.flow_steps) returns timestamptz
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select step.started_at + coalesce((known.chosen ->> 'delay_s')::float8, 0) * interval '1 second';
$$;
