-- Which messages' rows no session has locked at this moment. Called by: engine settler, after a settlement that waited
-- in vain for a lock.
-- $1 ids. The locks that it takes end with the statement. It waits only for the table itself. Lock order: queue rows,
-- skipping locked ones.
select msg_id from {queue} where msg_id = any ($1::bigint[]) for update skip locked
