-- Moves jobs of queue $1 into the queue $2 of Postmill, up to $3 of each table; how many. See the function.
-- Called by postmill.handlers.supaworker.bridge. Lock order and errors as supaworker.bridge.
select supaworker.bridge($1::text, $2::text, $3::integer)
