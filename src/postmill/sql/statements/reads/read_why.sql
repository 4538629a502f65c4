-- Why message $2 of queue $1 does not run at this moment: see the function why.
-- Called by the reads. Takes no locks. Errors: PM001 no such queue.
select rank, cause, said, until, detail from postmill.why($1::text, $2::bigint)
