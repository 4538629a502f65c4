-- Note that searches of queue $1 find the place $2 by an index. Called by db tools. Locks: the row of the place.
-- Errors: none.
insert into postmill.search_indexes (queue_name, place) values ($1::text, $2::text) on conflict do nothing
