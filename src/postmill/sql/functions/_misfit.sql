-- Where and why a value does not fit what `accepts` says of it, a JSON Schema; null: nothing speaks against it. Looks
-- at types, fields that must be there, fields that may not, listed values, bounds and lengths; other rules are the
-- program's own to check. 1.0 is no integer, as for the program. Of a list whose items are more than a plain kind, and
-- of an object, the first thousand parts are looked at: a start takes a tenth of a second for that at most, however
-- large its input is.
-- `definitions`: what "$ref" names. `place`: the way to the value.
-- Called by signal_run and _check_input. Takes no locks. Errors: none.
create or replace function postmill._misfit(value jsonb, accepts jsonb, definitions jsonb, place text default '$')
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    kind     constant text := jsonb_typeof(value);
    wanted   constant text := accepts ->> 'type';
    its      constant jsonb := coalesce(accepts -> 'properties', '{}');
    others   constant jsonb := accepts -> 'additionalProperties';
    first    constant jsonb := coalesce(accepts -> 'prefixItems', '[]');
    each     constant jsonb := case when jsonb_typeof(accepts -> 'items') = 'object' then accepts -> 'items' end;
    integers constant jsonb := '{"type": "integer"}';
    bounds   constant text[] := '{minimum,maximum,exclusiveMinimum,exclusiveMaximum}'
                                || '{minLength,maxLength,minItems,maxItems}'::text[];
begin
    if accepts ? '$ref' then
        return postmill._misfit(value, definitions -> split_part(accepts ->> '$ref', '/', 3), definitions, place);
    elsif accepts ? 'anyOf' then
        return (select case when bool_or(misfit is null) then null else min(misfit) end
                  from jsonb_array_elements(accepts -> 'anyOf') as one (form)
                 cross join lateral postmill._misfit(value, one.form, definitions, place) as misfit);
    elsif accepts ? 'enum' and not accepts -> 'enum' @> jsonb_build_array(value) then
        return format('%s is none of %s', place, accepts -> 'enum');
    elsif wanted <> kind and not (wanted = 'integer' and kind = 'number') then
        return format('%s: expected %s, got %s', place, wanted, kind);
    elsif (case when wanted = 'integer' then scale(value::numeric) > 0 end) then
        return format('%s: expected integer, got %s', place, value);
    elsif accepts ?| bounds and postmill._out_of_bounds(value, accepts, place) is not null then
        return postmill._out_of_bounds(value, accepts, place);
    elsif kind = 'object' then
        return coalesce(
            (select format('%s has no field %s', place, name)
               from jsonb_array_elements_text(accepts -> 'required') as needed (name)
              where not value ? name limit 1),
            (select format('%s can''t have a field %s', place, field.key) from jsonb_each(value) as field
              where others = 'false' and not its ? field.key limit 1),
            (select min(postmill._misfit(field.value, form.its, definitions, place || '.' || field.key))
               from (select * from jsonb_each(value) limit 1000) as field
              cross join lateral (select coalesce(its -> field.key, others) as its) as form
              where case when form.its = integers and jsonb_typeof(field.value) = 'number'
                         then scale(field.value::numeric) > 0
                         else form.its <> jsonb_build_object('type', jsonb_typeof(field.value)) end));
    elsif kind = 'array' and (each is not null or first <> '[]') then
        return (select min(postmill._misfit(item.value, form.its, definitions,
                                            format('%s[%s]', place, item.number - 1)))
                  from (select * from jsonb_array_elements(value) with ordinality as one (value, number)
                         limit case when each - 'type' <> '{}' then 1000 end) as item
                 cross join lateral (select coalesce(first -> (item.number - 1)::integer, each) as its) as form
                 where case when form.its = integers and jsonb_typeof(item.value) = 'number'
                            then scale(item.value::numeric) > 0
                            else form.its <> jsonb_build_object('type', jsonb_typeof(item.value)) end);
    end if;
    return null;
end
$$;
