-- Removes runs that are older than their flow keeps them, at most $1. Returns how many.
-- Called by: flows keeper. Locks and errors as postmill.prune_runs.
select postmill.prune_runs(most => $1::integer) as pruned
