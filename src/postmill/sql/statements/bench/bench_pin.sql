-- Takes a transaction id: while its transaction stays open, vacuum can remove no row that dies after this moment.
-- Called by postmill.bench in a REPEATABLE READ transaction that then stays idle. Locks nothing.
select pg_current_xact_id()::text
