-- Sends $2 messages to queue $1, each by a call of its own. Called by: bench schedules. Locks nothing that exists.
select postmill.send($1::text, to_jsonb(number)) from generate_series(1, $2::integer) as number
