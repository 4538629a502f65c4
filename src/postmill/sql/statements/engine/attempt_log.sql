-- Keep the last lines that an attempt has logged. Called by: engine logged handler, when an attempt has failed. $1
-- queue, $2 message, $3 attempt, $4 lines. Locks: the row of the attempt. Errors: none of its own.
insert into postmill.attempt_logs (queue_name, msg_id, attempt, lines)
values ($1::text, $2::bigint, $3::integer, $4::text[])
on conflict (queue_name, msg_id, attempt) do update set lines = excluded.lines, logged_at = clock_timestamp()
returning attempt
