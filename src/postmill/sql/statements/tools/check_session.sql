-- Which server process answers, and whether a session setting made before is still there.
-- Called by doctor. Takes no locks. Errors: none.
select pg_backend_pid() as pid, coalesce(current_setting('postmill.doctor', true), '') as mark
