-- About when message $2 of queue $1 was sent. Called by the search. Takes no locks. Errors: PM001 no such queue.
select postmill._sent_about($1::text, $2::bigint) as sent_at
