-- Writes what the first migration's row says into it again. Called by db server_needs. Locks: that row, for a moment.
-- Errors: lock_not_available after the bound.
update postmill.migrations set name = name where number = 1
