-- Makes the schedule $1 of a call, or changes it: expression $2, URL $3 or function $4, body $5, method $6, params $7,
-- headers $8, time limit in seconds $9, attempts $10, time zone $11, overlap $12, catch_up $13, jitter in seconds $14.
-- Called by the client and the command line. Locks and errors as postmill.schedule_call.
select postmill.schedule_call(
    $1::text, $2::text, $3::text, $4::text, $5::text::jsonb, $6::text, $7::text::jsonb, $8::text::jsonb,
    $9::float8 * interval '1 second', $10::integer, $11::text, $12::text, $13::text, $14::float8 * interval '1 second')
