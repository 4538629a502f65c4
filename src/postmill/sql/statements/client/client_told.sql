-- Of the messages $2 of the queues $1, those that were told on the channel $3: the results that were written since the
-- client has waited for them, as client_outcomes gives them. It is the short way, without a look at a queue.
-- Called by the client, when it was notified. Takes no locks. Errors: none.
select jsonb_build_array(kept.queue_name, kept.msg_id, 'completed', kept.result::text, null)::text
  from unnest($1::text[], $2::bigint[]) as told (queue, msg_id)
  join postmill.waiters as waiter
    on waiter.queue_name = told.queue and waiter.msg_id = told.msg_id and waiter.channel = $3::text
  join postmill.results as kept
    on kept.queue_name = told.queue and kept.msg_id = told.msg_id and kept.completed_at >= waiter.since
