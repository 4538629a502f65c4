-- As Supaqueue's table: one row a call that may run at once. So many are locked as calls run. Written to by _add_worker
-- and _remove_worker.
create or replace view supaqueue.worker with (security_invoker) as
select supaqueue._worker_id(queue.id, place.number) as id, queue.created_at, place.position <= running.calls as locked,
       queue.id as queue
from supaqueue._call_queue as queue
cross join lateral unnest(supaqueue._numbers(queue.id, queue.workers)) with ordinality as place (number, position)
cross join lateral (
    select count(*) as calls from postmill.gates as gate
    where gate.queue_name = lower(queue.name) and gate.claim_id is not null
) as running;
alter view supaqueue.worker alter column locked set default false;
comment on view supaqueue.worker is 'Facade supaqueue of Postmill: the workers of the queues.';
