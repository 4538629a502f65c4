-- The newest $1 operations; with $2 only those that have not ended.
-- Called by the command line. Takes no locks. Errors: none.
select operation_id, kind, queue_name as queue, target, filter, state, expected, done, skipped, failed, busy,
       per_second, upper_id, position, requested_by, requested_at, ended_at, error
  from postmill.operations
 where not $2::boolean or ended_at is null
 order by operation_id desc
 limit $1::integer
