-- Moves at most $3 jobs a table of Supaworker's queue $1 into queue $2, and returns how many.
-- Called by postmill import supaworker. Locks and errors as supaworker.bridge.
select supaworker.bridge($1::text, $2::text, $3::integer) as moved
