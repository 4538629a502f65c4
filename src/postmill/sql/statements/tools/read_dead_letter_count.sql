-- How many letters a replay of queue $1 would put back: all, or those of the ids $2.
-- Called by the command line. Takes no locks. Errors: none.
select count(*) as letters
from postmill.dead
where queue_name = $1::text and replayed_at is null and ($2::bigint[] is null or letter_id = any ($2::bigint[]))
