-- Run $1, whose message has the number $2, would fail by failures of the steps $3 that it had before it was retried.
-- Whether they are done again, under a new message.
-- Called by: flows conclusion. Lock order: see _do_again. Errors: none of its own.
select postmill._do_again($1::bigint, $2::integer, $3::text[]) as again
