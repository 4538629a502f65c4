-- Delete a bounded batch of what is older than its retention. Called by: engine pruner. $1 at most so many rows.
-- No row when nothing is due, or somebody else is at it. Locks and errors: postmill.prune.
select queue_name, archived, failures, history, workers, more from postmill.prune($1::integer)
