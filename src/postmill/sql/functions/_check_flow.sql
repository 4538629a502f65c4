-- Refuses what is no flow: a graph's shape needs steps, each with a name of its own that is not "input", a kind that is
-- known, and needs that stand before it.
-- Called by register_flow. Takes no locks. Errors: PM003.
create or replace function postmill._check_flow(
    flow text, kind text, shape jsonb, chosen jsonb, retention interval
) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    steps constant jsonb := case when jsonb_typeof(shape -> 'steps') = 'array' then shape -> 'steps' else '[]' end;
    names constant text[] := array(select each ->> 'name' from jsonb_array_elements(steps) as each);
    wrong text := case
        when flow is null or length(flow) not between 1 and 200 then 'a flow''s name has 1 to 200 characters'
        when kind is null or kind not in ('graph', 'workflow') then format('%s is no kind of flow', kind)
        when jsonb_typeof(shape) is distinct from 'object' or jsonb_typeof(chosen) is distinct from 'object'
            then 'the shape and what is chosen are JSON objects'
        when jsonb_typeof(chosen #> '{input,defaults}') <> 'object' then 'the defaults of the input are a JSON object'
        when jsonb_typeof(chosen #> '{input,accepts}') <> 'object' then 'what is accepted is a JSON object'
        when jsonb_typeof(chosen #> '{input,checks}') <> 'boolean' then 'a program checks an input: true or false'
        when jsonb_typeof(chosen #> '{input,deadline_s}') <> 'number' or (chosen #>> '{input,deadline_s}')::float8 <= 0
            then 'a deadline is a number of seconds above 0'
        when retention < interval '0' or not isfinite(retention) then 'runs are kept for a length of time'
        when kind = 'graph' and steps = '[]' then 'a graph has at least one step'
        when array_position(names, null) is not null or 'input' = any (names)
            then 'a step has a name, and none is named input'
        when cardinality(names) > (select count(distinct name) from unnest(names) as name)
            then 'two steps have the same name'
        end;
begin
    wrong := coalesce(wrong, (
        select format('step %s needs %s, which does not stand before it', each ->> 'name', need)
          from jsonb_array_elements(steps) with ordinality as e (each, place)
         cross join jsonb_array_elements_text(coalesce(each -> 'needs', '[]')) as need
         where coalesce(array_position(names, need), place) >= place
         order by place
         limit 1));
    if wrong is not null then
        raise exception 'flow % can''t be registered: %', coalesce(quote_literal(flow), 'null'), wrong
            using errcode = 'PM003',
                  hint = 'Python''s Flow makes what belongs here; see docs/reference/sql-functions.md.';
    end if;
end
$$;
