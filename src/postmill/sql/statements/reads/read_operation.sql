-- Operation $1, as read_operations has it.
-- Called by the command line. Takes no locks. Errors: none.
select operation_id, kind, queue_name as queue, target, filter, state, expected, done, skipped, failed, busy,
       per_second, upper_id, position, requested_by, requested_at, ended_at, error
  from postmill.operations
 where operation_id = $1::bigint
