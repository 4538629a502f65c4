-- Starts an operation of kind $1 on queue $2 with filter $3, at most $4 a second, up to id $5, $6 expected; $7 is where
-- a move goes.
-- Called by the command line, the API and the dashboard. Locks and errors: as start_operation.
select postmill.start_operation($1::text, $2::text, $3::text::jsonb, per_second => $4::double precision,
                                upper_id => $5::bigint, expected => $6::bigint, target => $7::text) as operation_id
