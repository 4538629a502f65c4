-- Asks the worker $1 to finish what it runs and stop.
-- Called by the command line. Locks and errors as postmill.deprecate_worker.
select postmill.deprecate_worker($1::uuid)
