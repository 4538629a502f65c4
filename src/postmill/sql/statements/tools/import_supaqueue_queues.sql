-- The queues of Supaqueue, the oldest first, with the number of their workers. A queue without a name has its
-- function's; releases that have a column `method` can call with other methods than POST.
-- Called by postmill import supaqueue, in the database that has them. Takes no locks. Errors: insufficient_privilege.
select queue.id::text, coalesce(nullif(queue.name, ''), queue.edge_function_name) as name,
       queue.edge_function_name as function, queue.default_headers::text as headers,
       coalesce(to_jsonb(queue) ->> 'method', 'POST') as method,
       (select count(*) from {schema}.worker as worker where worker.queue = queue.id) as workers
from {schema}.queue as queue
order by queue.created_at, queue.id
