-- Lets at most $2 messages of each group of the throw-away queue $1 run at once. Called by postmill.bench. Locks: as
-- postmill.limit_groups.
select postmill.limit_groups(queue => $1::text, max_running => $2::integer)
