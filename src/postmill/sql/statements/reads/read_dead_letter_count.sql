-- How many of the dead letters $2 are queue $1's and wait to be replayed.
-- Called by the command line. Takes no locks. Errors: none.
select count(*) as letters
  from postmill.dead
 where queue_name = $1::text and replayed_at is null and letter_id = any ($2::bigint[])
