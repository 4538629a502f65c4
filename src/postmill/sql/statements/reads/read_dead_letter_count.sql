-- How many of the letters $2 are dead letters of queue $1 that wait to be replayed.
-- Called by the command line and the API. Takes no locks. Errors: none.
select count(*) as letters
  from postmill.dead
 where queue_name = $1::text and replayed_at is null and letter_id = any ($2::bigint[])
