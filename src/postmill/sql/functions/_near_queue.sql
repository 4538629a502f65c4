-- The question behind a name that no queue has, such as "Did you mean mail?"; null when no queue's name is near it.
-- Looks at the 300 names whose length is the nearest, from the catalogue, so that any caller may ask.
-- Called by _queue_table when it refuses one. Takes no locks. Errors: none.
create or replace function postmill._near_queue(name text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select postmill._did_you_mean(name, array(
        select substr(relname, 3) from pg_class
        where relnamespace = to_regnamespace('pgmq') and relkind in ('r', 'p') and starts_with(relname, 'q_')
        order by abs(length(relname) - 2 - length(name)), relname limit 300))
$$;
