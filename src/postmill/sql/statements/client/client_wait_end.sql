-- The client waits no longer for the messages $2 of the queues $1 on the channel $3.
-- Called by the client, while it waits for results. Locks: its own rows of waiters. Errors: none.
delete from postmill.waiters as waiter
 using unnest($1::text[], $2::bigint[]) as one (queue, msg_id)
 where waiter.queue_name = one.queue and waiter.msg_id = one.msg_id and waiter.channel = $3::text
