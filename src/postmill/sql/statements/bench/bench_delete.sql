-- The raw limit's completion: no token, no row in postmill.claims, no answer. PINNED, as bench_claim.
-- $1 ids. Called by postmill.bench. Locks: the rows it deletes.
delete from {queue} where msg_id = any ($1::bigint[])
