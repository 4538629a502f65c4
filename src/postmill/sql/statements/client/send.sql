-- Sends one message and returns its id.
-- $1 the payload as JSON text · $2 when it becomes visible, ISO 8601 with an offset, or null · $3 else the delay in
-- seconds · $4 the headers as JSON text. Text in, cast here: a JSON codec that the caller set on its connection must
-- not matter.
-- Called by postmill.client. Locks nothing that exists. Errors: undefined_table when there is no such queue,
-- undefined_column when headers are given and the queue was made by pgmq before 1.5.
insert into {queue} (
    vt,
    headers,  --? headers
    message
)
values (
    coalesce($2::text::timestamptz, clock_timestamp() + $3::float8 * interval '1 second'),
    $4::text::jsonb,  --? headers
    $1::text::jsonb
)
returning msg_id
