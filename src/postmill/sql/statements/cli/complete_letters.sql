-- Ids of dead letters of queue $1 (null: of every queue) that wait, the latest first, for the shell to offer.
-- Called by the command line. Takes no locks. Errors: none.
select letter_id from postmill.dead
where ($1::text is null or queue_name = $1::text) and replayed_at is null
order by letter_id desc
limit 200
