-- The question behind a name that is not known, such as "Did you mean checkout?"; null when no known name is near it.
-- Two names are near when they share two of five pairs of letters that stand side by side.
-- Called by what refuses such a name; Python's did_you_mean has no names of the database. Takes no locks. Errors: none.
create or replace function postmill._did_you_mean(name text, known text[]) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    with pairs as (
        select word, array(select distinct substr(' ' || lower(word) || ' ', place, 2)
                             from generate_series(1, length(word) + 1) as place) as of_it
          from unnest(known || name) as word
    ), likeness as (
        select other.word, 2.0 * (select count(*) from unnest(other.of_it) as pair where pair = any (mine.of_it))
                           / (cardinality(other.of_it) + cardinality(mine.of_it)) as is_near
          from pairs as other
          join pairs as mine on mine.word = name and other.word <> name
    )
    select format('Did you mean %s?', word) from likeness where is_near >= 0.4 order by is_near desc, word limit 1;
$$;
