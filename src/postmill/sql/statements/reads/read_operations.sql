-- The newest $1 operations; with $2 only those that have not ended; with numbers below $3 when
-- it is given.
-- Called by the command line and the API. Takes no locks. Errors: none.
select operation_id, kind, queue_name as queue, target, filter, state, expected, done, skipped, failed, busy,
       per_second, upper_id, position, requested_by, requested_at, ended_at, error
  from postmill.operations
 where (not $2::boolean or ended_at is null) and ($3::bigint is null or operation_id < $3::bigint)
 order by operation_id desc
 limit $1::integer
