-- What an operation of kind $1 on queue $2 with filter $3 would be about.
-- Called by the command line. Takes no locks. Errors: as plan_operation.
select matching, upper_id, complete from postmill.plan_operation($1::text, $2::text, $3::text::jsonb)
