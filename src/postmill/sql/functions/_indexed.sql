-- Conditions that find a search's fields by their indexes, as SQL about a row `alias` of `relation`, an archive or the
-- dead letters; they say nothing that the fields themselves don't. `fields`: see _wanted_expression. Empty where no
-- place has an index.
-- Called by _search. Takes no locks. Errors: none.
create or replace function postmill._indexed(queue text, fields jsonb, relation regclass, alias text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(string_agg(format(
        ' and %s = left(%L, 200)', postmill._indexed_expression(asked.place, alias), asked.value), ''), '')
    from jsonb_each_text(fields) as asked (place, value)
    join postmill.search_indexes as known on known.queue_name = _indexed.queue and known.place = asked.place
    where postmill._headers_column(relation, alias) = alias || '.headers' or not starts_with(asked.place, 'header.')
$$;
