-- What an index of a place holds, as SQL about a row `alias`: the first 200 characters, since an index takes no long
-- value and would refuse the row; byte by byte, since the order of letters may change with the server's library.
-- Called by _indexed and search_index_list: an index is used where a search says the very same.
-- Takes no locks. Errors: none.
create or replace function postmill._indexed_expression(place text, alias text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select format('(left(%s%I #>> %L::text[], 200) collate "C")', coalesce(quote_ident(alias) || '.', ''),
                  case when starts_with(place, 'header.') then 'headers' else 'message' end,
                  postmill._steps_of(place))
$$;
