-- Whether a number is too small or too large, a text or a list too short or too long, for what `accepts` says: how, or
-- null. `place`: the way to the value.
-- Called by _misfit. Takes no locks. Errors: none.
create or replace function postmill._out_of_bounds(value jsonb, accepts jsonb, place text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select format('%s: expected %s %s, got %s', place, rule.words, accepts -> rule.name, its.size)
      from (select case jsonb_typeof(value) when 'number' then value::numeric
                                            when 'string' then length(value #>> '{}')
                                            when 'array' then jsonb_array_length(value) end as size) as its
     cross join (values ('minimum', 'number', 'at least', '{0,1}'),
                        ('maximum', 'number', 'at most', '{-1,0}'),
                        ('exclusiveMinimum', 'number', 'more than', '{1}'),
                        ('exclusiveMaximum', 'number', 'less than', '{-1}'),
                        ('minLength', 'string', 'a length of at least', '{0,1}'),
                        ('maxLength', 'string', 'a length of at most', '{-1,0}'),
                        ('minItems', 'array', 'a length of at least', '{0,1}'),
                        ('maxItems', 'array', 'a length of at most', '{-1,0}')) as rule (name, kind, words, signs)
     where rule.kind = jsonb_typeof(value)
       and sign(its.size - (accepts ->> rule.name)::numeric) <> all (rule.signs::numeric[])
     limit 1
$$;
