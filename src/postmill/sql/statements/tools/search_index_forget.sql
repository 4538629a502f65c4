-- Forget the indexes of place $2 of queue $1. Called by db tools. Locks: the row of the place. Errors: none.
delete from postmill.search_indexes where queue_name = $1::text and place = $2::text
