-- Deletes what is left of the calls of $1 and their answers. Called by bench. Locks: the calls' rows, then the
-- responses'. Errors: none.
with asked as (delete from postmill.calls where url = $1::text)
delete from postmill.call_responses where url = $1::text
