-- Sends the notification $2 on channel $1.
-- Called by doctor. Takes no locks. Errors: none.
select pg_notify($1::text, $2::text)
