-- Limits queue $1 over all its workers: $2 running at once, $3 starts in $4 seconds; null: no such limit.
-- Called by the client. Locks and errors as postmill.limit_queue.
select postmill.limit_queue($1::text, $2::integer, $3::integer, $4::float8 * interval '1 second')
