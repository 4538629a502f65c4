-- Whether a step's condition holds. {"of", "path", "equals": scalar} | {"of", "path", "has": {...}} | {"all": [...]} |
-- {"not": ...}. Where nothing is, nothing is equal and nothing is contained, so that its negation holds. The rule is
-- the one of postmill.model.flow.condition.
-- Called by _begin_steps. Takes no locks. Errors: none.
create or replace function postmill._condition_met(condition jsonb, run_id bigint, input jsonb) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if condition ? 'all' then
        return (select coalesce(bool_and(postmill._condition_met(part, run_id, input)), true)
                  from jsonb_array_elements(condition -> 'all') as part);
    elsif condition ? 'not' then
        return not postmill._condition_met(condition -> 'not', run_id, input);
    elsif condition ? 'equals' then
        return coalesce(postmill._value_at(condition, run_id, input) = condition -> 'equals', false);
    end if;
    return coalesce(postmill._value_at(condition, run_id, input) @> (condition -> 'has'), false);
end
$$;
