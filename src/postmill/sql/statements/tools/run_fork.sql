-- Starts a run that is as the run $1 outside of the step $2 and what needs it, with the input $3 and the outputs $4.
-- Called by the command line. Locks and errors as postmill.fork_run.
select postmill.fork_run($1::bigint, $2::text, $3::text::jsonb, $4::text::jsonb) as run_id
