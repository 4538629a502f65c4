-- Removes runs that ended longer than $1 ago, at most $2. Returns how many.
-- Called by: flows keeper. Locks and errors as postmill.prune_runs.
select postmill.prune_runs($1::interval, $2::integer) as pruned
