-- Replays the dead letters $2 (null: all) of queue $1, with the payload $3 when it is given. Returns the ids of the new
-- messages, in the order of their letters; a letter whose unique key is taken has none.
-- Called by the client. Locks and errors as postmill.replay.
select msg_id from postmill.replay($1::text, $2::bigint[], $3::text::jsonb)
 where msg_id is not null order by letter_id
