-- Why a map can't run over `value`, which is found at the place `over`; null: it is a list.
-- Called by _begin_steps. Takes no locks. Errors: none.
create or replace function postmill._no_list(over jsonb, value jsonb) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if jsonb_typeof(value) = 'array' then
        return null;
    end if;
    return format('a map needs a list, and %s is %s',
                  concat_ws('.', over ->> 'of',
                            nullif(array_to_string(array(select jsonb_array_elements_text(over -> 'path')), '.'), '')),
                  coalesce('a JSON ' || jsonb_typeof(value), 'not there'));
end
$$;
