-- What the handler of message $2 of queue $1 returned, as JSON text; no row when nothing is kept about it.
-- Called by the client. Takes no locks. Errors: none.
select result::text from postmill.results where queue_name = $1::text and msg_id = $2::bigint
