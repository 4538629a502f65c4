-- Starts a run of flow $1 with input 0. Called by: bench dashboard. Locks nothing that exists.
select postmill.start_flow($1::text, '0'::jsonb)
