-- How long a settlement waits for a lock at most: a row or a table that another session has locked is noticed, and its
-- messages are put aside, within seconds, whatever the role's own lock_timeout says. Half a second: most locks are
-- gone before, and the server answers before the worker's own limit for a statement, a second at least, which would
-- cost the session. Nothing is lost by it: a settlement is sent again.
-- Called by: db shared_connection, for the connection of settlements: once a connection (flag session) or, behind a
-- pooler, in each transaction (flag local). db borrowed, with the flag session, after a handler had that connection.
-- Lock order: none. Errors: none of its own.
set lock_timeout = '500ms'; --? session
set local lock_timeout = '500ms'; --? local
