-- Take a message from the worker that holds it, as another client does that reads it and puts it back at once: it is
-- due again, and the worker's lease is lost. Called by postmill.testing. $1 the queue, $2 the message. Locks: the
-- message's row.
-- Errors: none.
with taken as (
    update {queue} set read_ct = read_ct + 1, vt = clock_timestamp() where msg_id = $2::bigint returning msg_id
)
select pg_notify(('postmill.' || $1::text)::name::text, '') from taken
