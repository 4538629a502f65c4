-- The workers whose id begins with $1 and that have not stopped, at most two.
-- Called by the command line. Takes no locks. Errors: none.
select worker_id from postmill.workers
where starts_with(worker_id::text, lower($1::text)) and stopped_at is null
limit 2
