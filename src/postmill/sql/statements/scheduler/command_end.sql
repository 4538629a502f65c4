-- Writes down how a run ended. Called by: scheduler. Arguments, locks and errors as postmill.end_command.
select postmill.end_command($1::bigint, $2::integer, $3::text, $4::text)
