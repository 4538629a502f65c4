-- The places that searches of queue $1 find by an index, among $2: their indexes are whole.
-- Called by the search. Takes no locks. Errors: none.
select coalesce(array_agg(known.place), '{}') as places
from (select place, bool_and(state = 'built') as is_whole
      from postmill.search_index_list($1::text) where place = any ($2::text[]) group by place) as known
where known.is_whole
