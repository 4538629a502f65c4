-- Why a step can't begin with the groups that its rule gives (see _group_of_task); null: it can. `list`: a map's items.
-- Called by _begin_steps. Takes no locks. Errors: none.
create or replace function postmill._no_group(rule jsonb, run_id bigint, input jsonb, list jsonb) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    path constant text[] := array(select jsonb_array_elements_text(coalesce(rule -> 'item', rule -> 'path')));
begin
    return (
        select format('a group key is a text of at most 200 characters, a number or a bool, and %s is %s',
                      concat_ws('.', coalesce(rule ->> 'of', 'item ' || given.place - 1), array_to_string(path, '.')),
                      case when jsonb_typeof(given.value) in ('object', 'array')
                           then 'a JSON ' || jsonb_typeof(given.value)
                           else format('one of %s characters', length(given.value #>> '{}')) end)
          from (select postmill._value_at(rule, run_id, input), 1 where rule ? 'of'
                union all
                select each.value #> path, each.place
                  from jsonb_array_elements(case when rule ? 'item' then list end) with ordinality
                       as each (value, place)) as given (value, place)
         where jsonb_typeof(given.value) in ('object', 'array') or length(given.value #>> '{}') > 200
         order by given.place
         limit 1);
end
$$;
