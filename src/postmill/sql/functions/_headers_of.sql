-- What stands for the headers of a queue's row `queued` in a statement: older pgmq has no such column.
-- Called by _cancel, _matching and _move. Takes no locks. Errors: none.
create or replace function postmill._headers_of(relation regclass) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when exists (
        select from pg_catalog.pg_attribute as its
        where its.attrelid = relation and its.attname = 'headers' and not its.attisdropped
    ) then 'nullif(queued.headers, ''null'')' else 'null::jsonb' end;
$$;
