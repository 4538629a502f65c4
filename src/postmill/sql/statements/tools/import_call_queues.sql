-- Every queue, and the function or the URL that it calls (null: it is no call queue).
-- Called by postmill import supaqueue. Takes no locks. Errors: insufficient_privilege.
select made.queue_name::text as name, coalesce(calling.function_name, calling.url) as callee
from pgmq.meta as made
left join postmill.call_queues as calling on calling.queue_name = made.queue_name
