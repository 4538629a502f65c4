-- Locks the first migration's row until the transaction ends; with the flag skipping passes it by when it is locked.
-- Called by db server_needs. Locks: that row, for a moment. Errors: lock_not_available after the bound.
select number from postmill.migrations where number = 1
   for update --? !skipping
   for update skip locked --? skipping
