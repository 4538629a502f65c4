-- Says that a program has flow $1 of kind $2 with queue $3, shape $4 and choices $5 (JSON texts), whose runs are kept
-- for $6 seconds (null: the default). Called by: workers of flows, at their start and again while tasks of this shape
-- are held. Returns the version's number. Locks and errors as postmill.register_flow.
select postmill.register_flow($1::text, $2::text, $3::text, $4::text::jsonb, $5::text::jsonb,
                              make_interval(secs => $6::float8)) as version
