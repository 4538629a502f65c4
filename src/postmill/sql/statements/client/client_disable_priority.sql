-- Lets workers take messages of queue $1 without regard to priority.
-- Called by the client. Locks and errors as postmill.disable_priority.
select postmill.disable_priority($1::text)
