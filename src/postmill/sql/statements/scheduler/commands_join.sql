-- Lets this session's process count as one that runs commands. Called by: scheduler, once a session. Locks and errors
-- as postmill.join_runners.
select postmill.join_runners()
