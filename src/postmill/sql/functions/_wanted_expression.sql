-- Which values and texts are wanted, as SQL about a row `alias` with columns message and headers, to stand after other
-- conditions. `fields`: values by place, as {"payload.user.id": "7", "header.\"a.b\"": "x"}, compared as text; `words`:
-- parts of the payload's text, in any case of letters. They are written into it, quoted: compared row by row, each
-- would be read again for every row.
-- Called by _search and _conditions: a search and an operation mean the same. Takes no locks. Errors: none.
create or replace function postmill._wanted_expression(alias text, fields jsonb, words text[]) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((
        select string_agg(format(' and %I.%I #>> %L = %L',
            alias, case when starts_with(asked.place, 'header.') then 'headers' else 'message' end,
            postmill._steps_of(asked.place),
            asked.value), '')
        from jsonb_each_text(fields) as asked (place, value)), '')
    || coalesce((
        select string_agg(format(' and strpos(lower(%I.message::text), lower(%L)) > 0', alias, word), '')
        from unnest(words) as word), '')
$$;
