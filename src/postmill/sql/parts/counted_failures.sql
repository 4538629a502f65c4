-- How often the messages of the CTE `claimed` have failed, and how often their worker lost them; null when none was
-- delivered before. $5 queue; `since`: when the message was sent, or -infinity.
-- Part of the statement claim and of the function claim_gated. Takes no locks.
       case when max(read_ct) > 1 then array_agg(
           case when read_ct > 1 then
               (select count(*)::integer
                  from postmill.failures as f
                 where f.queue_name = $5::text and f.msg_id = claimed.msg_id
                   and f.kind <> 'lost_lease' and f.failed_at >= claimed.since)
           else 0 end)
       end as failures,
       case when max(read_ct) > 1 then array_agg(
           case when read_ct > 1 then
               (select count(*)::integer
                  from postmill.failures as f
                 where f.queue_name = $5::text and f.msg_id = claimed.msg_id
                   and f.kind in ('lost_lease', 'crash') and coalesce(f.started_at, f.failed_at) >= claimed.since)
           else 0 end)
       end as lost_leases
