-- What is recorded of runs of workflows. $1 runs, $2 the numbers of the messages that were claimed, $3 the flows that
-- the worker has. A row a run and number; none for a run that is gone.
-- Called by: flows run_loader and transaction_step. Lock order: see _load_runs. Errors: none of its own.
select * from postmill._load_runs($1::bigint[], $2::integer[], $3::text[])
