-- The receipts of settled messages: closed with their last one, and until then without those that are done.
-- Part of the statements reschedule, dead_letter, cancel_running and close_receipts. $1 ids, $2 receipts to close, $3 receipts that lose
-- these ids. Lock order: postmill.claims.
closed as (
    delete from postmill.claims where claim_id = any ($2::bigint[])
),
trimmed as (
    update postmill.claims as c
       set (msg_ids, read_cts) = (
           select coalesce(array_agg(i), '{}'), coalesce(array_agg(r), '{}')
             from unnest(c.msg_ids, c.read_cts) as held (i, r)
            where i <> all ($1::bigint[]))
     where c.claim_id = any ($3::bigint[])
),
