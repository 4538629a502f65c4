-- Makes or changes a call queue. Called by the command line. Arguments, locks and errors as postmill.create_call_queue.
select postmill.create_call_queue($1::text, $2::text, $3::text, $4::jsonb, $5::integer, $6::integer,
                                  $7::float8 * interval '1 second')
