-- Takes messages $2 of queue $1 out, to be brought into database $3, and keeps them in departures until they have
-- arrived. Left are those that somebody has taken or holds now, and those that other rows speak of: that wait for
-- others or for a place, have followers or a unique key.
-- Called by route move. Locks: the messages, skipping locked ones; then departures. Errors: none of its own.
with picked as materialized (
    select waiting.msg_id from {queue} as waiting
    where waiting.msg_id = any ($2::bigint[]) and waiting.read_ct = 0
      and not coalesce(waiting.headers, '{}') ?| array['postmill-unique-key', 'postmill-group', 'postmill-after',
                                                       'postmill-then', 'postmill-else']
      and not exists (select from postmill.gates as gate
                      where gate.queue_name = lower($1::text) and gate.msg_id = waiting.msg_id)
      and not exists (select from postmill.edges as edge
                      where edge.source_queue = lower($1::text) and edge.source_id = waiting.msg_id)
      and not exists (select from postmill.waiters as waiter
                      where waiter.queue_name = $1::text and waiter.msg_id = waiting.msg_id)
    for update skip locked
), gone as (
    delete from {queue} as message using picked where message.msg_id = picked.msg_id
    returning message.msg_id, message.enqueued_at, message.vt, message.message, message.headers
), kept as (
    insert into postmill.departures (queue_name, msg_id, target, enqueued_at, vt, message, headers)
    select $1::text, gone.msg_id, $3::text, gone.enqueued_at, gone.vt, gone.message, gone.headers from gone
    returning 1
)
select count(*) as taken from kept
