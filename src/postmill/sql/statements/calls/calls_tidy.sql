-- Ends calls whose process is gone, and deletes old responses. Returns whether it found any. Called by: calls, when
-- calls_next says that it is due. Locks and errors as postmill.tidy_calls.
select again + unknown + pruned > 0 as found from postmill.tidy_calls()
