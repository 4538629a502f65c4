-- Asks workers of older versions than the workers $1 have to drain: those on their queues, with $2 only those on their
-- host. One row for each that it has asked.
-- Called by: engine replacing, once, at a worker's start. Locks and errors: postmill._replace_workers.
select version from postmill._replace_workers($1::uuid[], $2::boolean) as version
