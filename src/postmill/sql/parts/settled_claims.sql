-- The claims of settled messages: a claim ends with its last message, and until then it loses those that are settled.
-- Part of the statements reschedule, dead_letter, cancel_running and close_claims; follows a CTE `token` with their
-- ids. $4 claims that end, $5 claims that lose these messages. Lock order: postmill.claims.
closed as (
    delete from postmill.claims where claim_id = any ($4::bigint[])
),
trimmed as (
    update postmill.claims as c
       set (msg_ids, read_cts) = (
           select coalesce(array_agg(i), '{}'), coalesce(array_agg(r), '{}')
             from unnest(c.msg_ids, c.read_cts) as held (i, r)
            where i not in (select msg_id from token))
     where c.claim_id = any ($5::bigint[])
),
