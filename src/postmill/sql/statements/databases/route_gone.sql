-- Those of messages $2 of queue $1 that are not listed as leaving any more.
-- Called by route move. Locks: none. Errors: none.
select asked.msg_id from unnest($2::bigint[]) as asked (msg_id)
where not exists (select from postmill.departures as leaving
                  where leaving.queue_name = $1::text and leaving.msg_id = asked.msg_id)
