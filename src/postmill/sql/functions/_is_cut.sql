-- Whether a step that was skipped has cut off what needs it. Called by _begin_again. Takes no locks. Errors: none.
create or replace function postmill._is_cut(step postmill.steps, known postmill.flow_steps) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select step.state = 'skipped' and (
        step.cut
        or case when step.reason = 'condition_unmet' then known.on_unmet else known.on_dead end = 'skip_cascade');
$$;
