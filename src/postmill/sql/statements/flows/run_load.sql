-- What is recorded of runs of workflows. $1 runs, $2 the numbers of the messages that were claimed. A row a run and
-- number; none for a run that is gone.
-- Called by: flows run_loader. Lock order: see _load_runs. Errors: none of its own.
select * from postmill._load_runs($1::bigint[], $2::integer[])
