-- Ids in words: `17`, `17 and 18`, `17, 18 and 19`, and of more than `most` the first two: `17, 18 and 40 more`. `ids`
-- are all of them, or so many that the rest need not be counted, from 1,000 on.
-- Called by _sources_left and _limit_reached. Takes no locks. Errors: none.
create or replace function postmill._listed(ids bigint[], most integer default 3) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when cardinality(ids) > most then
            array_to_string(ids[:2], ', ') || ' and '
            || case when cardinality(ids) > 1000 then 'more than 998' else (cardinality(ids) - 2)::text end || ' more'
        when cardinality(ids) > 1 then
            array_to_string(ids[:cardinality(ids) - 1], ', ') || ' and ' || ids[cardinality(ids)]
        else ids[1]::text
    end;
$$;
