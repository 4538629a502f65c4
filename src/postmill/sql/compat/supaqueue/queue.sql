-- As Supaqueue's table. A queue that calls a URL has it in place of the function's name. Written to by _add_queue,
-- _change_queue and _remove_queue.
create or replace view supaqueue.queue with (security_invoker) as
select queue.id, queue.created_at, coalesce(queue.function_name, queue.url) as edge_function_name,
       queue.headers as default_headers, queue.name
from supaqueue._call_queue as queue;
alter view supaqueue.queue alter column default_headers set default '{}';
alter view supaqueue.queue alter column name set default '';
comment on view supaqueue.queue is 'Facade supaqueue of Postmill: the queues.';
