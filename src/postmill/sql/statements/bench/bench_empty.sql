-- Empties the throw-away queue and its archive. Called by postmill.bench between two measurements, so that neither
-- meets the dead rows of the other. Locks: ACCESS EXCLUSIVE on both tables.
truncate {queue}, {archive}
