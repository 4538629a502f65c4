-- One import of a source at a time writes: a second one waits here until the first one's batch is committed.
-- Called by postmill import supaqueue, at the start of each batch's transaction. Locks: an advisory lock of the source
-- $1, until the transaction ends. Errors: none.
select pg_advisory_xact_lock(hashtextextended('postmill import ' || $1::text, 0))
