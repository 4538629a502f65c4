-- Asks to be told on the channel $3 when the messages $2 of the queues $1 end. Committed before the client looks
-- whether they have ended: an end that it does not see then is told. Asked again, the row is kept for longer. Called by
-- the client, while it waits for results. Locks: its own rows of waiters. Errors: none.
insert into postmill.waiters (queue_name, msg_id, channel)
select queue, msg_id, $3::text from unnest($1::text[], $2::bigint[]) as one (queue, msg_id)
    on conflict (queue_name, msg_id, channel) do update set since = excluded.since
