-- Starts a run like run $1 from step $2 on, with input $3 and outputs $4 of earlier steps (JSON text; null: as they
-- were). Called by: the clients. Returns the new run's id. Locks and errors as postmill.fork_run.
select postmill.fork_run($1::bigint, $2::text, $3::text::jsonb, $4::text::jsonb)
