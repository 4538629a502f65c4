-- What an operation of kind $1 on queue $2 with filter $3 would be about; $4 is where a move goes.
-- Called by the command line, the API and the dashboard. Takes no locks. Errors: as plan_operation.
select matching, upper_id, complete from postmill.plan_operation($1::text, $2::text, $3::text::jsonb, $4::text)
