-- Starts $3 runs of flow $1, each with input $2 (JSON text). Called by: bench flows. Locks nothing that exists.
select count(postmill.start_flow($1::text, $2::text::jsonb)) from generate_series(1, $3::integer)
