-- Creates a queue if it is missing. $1 the queue's name, validated.
-- Called by postmill.client. Errors: invalid_schema_name or undefined_function when Postmill's schema is not installed.
select postmill.create_queue($1::text)
