-- The column of headers of a queue's table under an alias, as SQL text: an older pgmq has none.
-- Called by _indexed, _search and search_index_list. Takes no locks. Errors: none.
create or replace function postmill._headers_column(relation regclass, alias text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when exists (
        select from pg_catalog.pg_attribute as known
        where known.attrelid = relation and known.attname = 'headers' and not known.attisdropped)
    then alias || '.headers' else 'null::jsonb' end;
$$;
