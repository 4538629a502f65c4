-- Delete a bounded batch of what is older than its retention. Called by: engine pruner. $1 rows at most.
-- No row when nothing is due, or another session prunes. Locks and errors: postmill.prune.
select queue_name, archived, failures, history, workers, more from postmill.prune($1::integer)
