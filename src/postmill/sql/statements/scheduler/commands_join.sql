-- Lets this session's process count as one that runs commands. $1: whether the
-- process has not counted before. Called by: scheduler, once a session. Locks and errors
-- as postmill.join_runners.
select postmill.join_runners($1::boolean)
