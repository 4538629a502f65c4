-- Take back what a handler has done to its session, so that nothing of it reaches the next one. Keeps asyncpg's
-- prepared statements, which `discard all` would not; a statement that SQL's own `prepare` has made stays.
-- Called by: db handler_session, in one message after the end of a transaction or by itself. With the flag `listening`
-- for a session that listens for the worker too. Lock order: none. Errors: whatever it raises, the session is closed.
set session authorization default;
reset role;
reset all;
close all;
unlisten *; --? !listening
select pg_advisory_unlock_all();
discard temp;
discard sequences;
