-- Ends calls whose process is gone, and deletes old responses. Called by: calls now and then. Locks and errors as
-- postmill.tidy_calls.
select * from postmill.tidy_calls()
