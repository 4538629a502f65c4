-- How many dead letters of queue $1 wait to be replayed, of the letters $2 (null: of all), and of those that died more
-- than $3 seconds ago (null: whenever).
-- Called by the command line and the API. Takes no locks. Errors: none.
select count(*) as letters
  from postmill.dead
 where queue_name = $1::text and replayed_at is null
   and ($2::bigint[] is null or letter_id = any ($2::bigint[]))
   and ($3::float8 is null or died_at < clock_timestamp() - make_interval(secs => $3::float8))
