-- Replays the dead letters $2 of queue $1, with the payload $3 when it is given.
-- Called by the command line and the API. Locks and errors as postmill.replay.
select letter_id, msg_id from postmill.replay($1::text, $2::bigint[], $3::text::jsonb)
