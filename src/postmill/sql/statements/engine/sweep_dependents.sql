-- Look after messages that wait for others, where no settlement does. Called by: engine sweeper. $1 sources and targets
-- at most. Whether more is waiting. Locks and errors: postmill.sweep_dependents.
select postmill.sweep_dependents($1::integer) as more
