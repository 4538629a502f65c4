-- Starts a run of flow $1 with input $2 (JSON text), key $3, delay $4 in seconds, tags $5, deadline $6 in seconds
-- from now, priority $7, version $8; null stands for what was not given. Called by: the clients. Returns the run's id.
-- Locks and errors as postmill.start_flow.
select postmill.start_flow($1::text, $2::text::jsonb, key => $3::text,
                           delay => make_interval(secs => $4::double precision), tags => $5::text[],
                           deadline => make_interval(secs => $6::double precision), priority => $7::integer,
                           version => $8::integer)
