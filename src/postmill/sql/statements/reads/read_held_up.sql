-- Groups whose messages wait for a limit, of every queue, at most $1; '' is the whole queue. Of each queue the first
-- 100 groups that wait are looked at.
-- Called by the command line (top). Takes no locks. Errors: none.
select meta.queue_name as queue, held.group_key as "group", held.held_up_by
from pgmq.meta as meta
cross join lateral postmill._held_up_groups(meta.queue_name, 100) as held
order by meta.queue_name, held.group_key
limit $1::integer
