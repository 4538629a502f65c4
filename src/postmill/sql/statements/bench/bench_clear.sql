-- Deletes every message of the throw-away queue and leaves the dead rows. Called by postmill.bench. Locks: the rows it
-- deletes.
delete from {queue}
