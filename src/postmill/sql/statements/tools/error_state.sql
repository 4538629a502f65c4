-- Writes down that the error $1 is $2.
-- Called by the command line. Locks and errors as set_error_state.
select postmill.set_error_state($1::text, $2::text)
