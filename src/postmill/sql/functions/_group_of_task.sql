-- The group of a task by the rule of its step: {"key"} names it, {"item"} is a path in the item of a map, {"of",
-- "path"} where it stands in the run's input or in what a step gave. Null: it has none, for what stands there is null,
-- an empty text, not there, or no key of a group (see _no_group).
-- Called by whatever sends tasks of steps that have a rule. Takes no locks. Errors: none.
create or replace function postmill._group_of_task(rule jsonb, run_id bigint, input jsonb, item jsonb) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    found constant jsonb := case
        when rule ? 'key' then rule -> 'key'
        when rule ? 'item' then item #> array(select jsonb_array_elements_text(rule -> 'item'))
        else postmill._value_at(rule, run_id, input) end;
begin
    return case when jsonb_typeof(found) in ('string', 'number', 'boolean') and length(found #>> '{}') <= 200
                then nullif(found #>> '{}', '') end;
end
$$;
