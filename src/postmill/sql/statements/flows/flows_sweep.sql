-- Fails runs that are overdue or can't go on, at most $1. Called by: flows keeper. Returns whether more is waiting.
-- Locks and errors as postmill.sweep_flows.
select postmill.sweep_flows($1::integer) as more
