-- What message $2 of queue $1 is doing: its state and what it waits for, as the JSON text of an object; no row when
-- nothing is known about it.
-- Called by the client, when it has waited long enough for a result. Takes no locks. Errors: PM001 no such queue.
select jsonb_build_object('state', message.state, 'waits_for', to_jsonb(message) -> 'waits_for')::text
  from postmill.messages($1::text, only_id => $2::bigint) as message
