-- Lets workers take messages of queue $1 by priority; $2 seconds of waiting count as a step of it, null: as it is.
-- Called by the client. Locks and errors as postmill.enable_priority.
select postmill.enable_priority($1::text, $2::float8 * interval '1 second')
