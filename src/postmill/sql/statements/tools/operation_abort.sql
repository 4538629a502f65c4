-- Ends operation $1 where it is.
-- Called by the command line. Locks and errors: as abort_operation.
select postmill.abort_operation($1::bigint) as state
