-- The next page of operation $1; no row when none is due, or another process is at it.
-- Called by the command line, while it waits for the operation. Locks and errors: as _step_operation.
select state, next_in_s from postmill._step_operation($1::bigint)
