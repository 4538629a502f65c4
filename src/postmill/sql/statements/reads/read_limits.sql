-- The limits of queue $1 and of its groups, and how they stand: see the view postmill.limits. Times in seconds.
-- Called by the command line. Takes no locks. Errors: none.
select queue_name as queue, group_key, max_running, starts, extract(epoch from per)::float8 as per_s, running, waiting,
    next_start_at
from postmill.limits
where queue_name = $1::text
order by coalesce(group_key, '') <> '', group_key
