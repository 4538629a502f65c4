-- Removes runs that ended longer than $1 ago, at most $2. Called by: flows keeper. Returns how many. Locks and errors as
-- postmill.prune_runs.
select postmill.prune_runs($1::interval, $2::integer) as pruned
