-- Makes the schedule $1 of a flow, or changes it: expression $2, flow $3, input $4, time zone $5, overlap $6, catch_up
-- $7, jitter in seconds $8. Called by the client and the command line. Locks and errors as postmill.schedule_flow.
select postmill.schedule_flow(
    $1::text, $2::text, $3::text, $4::text::jsonb, $5::text, $6::text, $7::text, $8::float8 * interval '1 second')
