-- The indexes of searches, of queue $1 or (null) of all. Called by db reads. Takes no locks. Errors: none.
select queue_name as queue, place, table_name, index_name, state, size_bytes, created_at, definition
from postmill.search_index_list($1::text)
