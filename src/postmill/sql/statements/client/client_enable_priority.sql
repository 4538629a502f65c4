-- Lets workers take messages of queue $1 by priority.
-- Called by the client. Locks and errors as postmill.enable_priority.
select postmill.enable_priority($1::text)
