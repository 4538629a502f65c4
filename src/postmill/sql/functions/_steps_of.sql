-- The steps of a place, as a search has it before "=": {user,id} of payload.user.id. A step in quotes may have any
-- character.
-- Called by _indexed_expression and _wanted_expression. Takes no locks. Errors: none.
create or replace function postmill._steps_of(place text) returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select array(select case when starts_with(step[1], '"')
                             then regexp_replace(substr(step[1], 2, length(step[1]) - 2),
                                                $re$\\(.)$re$, $re$\1$re$, 'g')
                             else step[1] end
                 from regexp_matches(place, $re$\.("(?:[^"\\]|\\.)*"|[^".]+)$re$, 'g')
                      with ordinality as found (step, number)
                 order by found.number)
$$;
