-- Every call queue, with its id, its name and the number of its workers.
create or replace view supaqueue._call_queue with (security_invoker) as
select supaqueue._queue_id(made.queue_name, made.created_at) as id, made.created_at, made.queue_name::text as name,
       calling.function_name, calling.url, calling.headers,
       case when known.pause_reason = supaqueue._no_workers() then 0 else coalesce(known.max_running, 0) end as workers
from postmill.call_queues as calling
join pgmq.meta as made on made.queue_name = calling.queue_name
join postmill.queues as known on known.queue_name = calling.queue_name;
comment on view supaqueue._call_queue is 'Facade supaqueue of Postmill: call queues with their ids.';
