-- Sends the run $1 the signal $2 with the value $3, as one of many with $4. Called by the command line. Locks and
-- errors as postmill.signal_run.
select postmill.signal_run($1::bigint, $2::text, $3::text::jsonb, $4::boolean) as done
