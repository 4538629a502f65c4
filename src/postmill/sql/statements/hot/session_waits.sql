-- How long a statement waits for a lock at most: a renewal, which skips locked rows, waits for a table that another
-- session rewrites or alters, and the leases in all other queues wait behind it. A tenth of the shortest lease that
-- makes sense, a second.
-- Called by: db shared_connection, for a connection that several queues share: once a connection (flag session) or,
-- behind a pooler, in each transaction (flag local).
set lock_timeout = '100ms'; --? session
set local lock_timeout = '100ms'; --? local
