-- Lets workers claim messages of queue $1 again.
-- Called by the command line. Locks and errors as postmill.resume.
select postmill.resume($1::text)
