-- How many payloads of the throw-away queue have a text: what looking at all of them costs at least. Called by
-- postmill.bench. Takes no locks.
select count(*) as found from {queue} where strpos(lower(message::text), lower($1::text)) > 0
