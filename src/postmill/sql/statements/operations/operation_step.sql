-- The next page of an operation. $1 how many messages it may be.
-- Called by: operations executor. Locks and errors: as _step_operation.
select operation_id, kind, queue_name, state, done, error, next_in_s from postmill._step_operation(page => $1::integer)
