-- Which tables of those with an index of searches on place $2 of queue $1 this login may not build one on: only the
-- owner of a table may. Called by db tools. Takes no locks. Errors: none.
select coalesce(array_agg(table_name), '{}') as of_others
from postmill.search_index_list($1::text)
join pg_catalog.pg_class as known on known.oid = table_name::regclass
where place = $2::text and not pg_catalog.pg_has_role(known.relowner, 'USAGE')
