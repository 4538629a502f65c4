-- Queues that have limits, or messages that wait in groups, with the versions of their workers that are alive.
-- Called by doctor. Takes no locks. Errors: none.
select known.queue_name as queue, array_agg(distinct worker.version) as versions
from postmill.queues as known
join postmill.active_workers as worker using (queue_name)
where worker.deprecated_at is null
  and (known.gated
       or coalesce(known.max_running, known.starts, known.group_max_running, known.group_starts) is not null)
group by known.queue_name
order by known.queue_name
