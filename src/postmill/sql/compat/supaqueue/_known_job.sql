-- Every job with its state: pending, in_progress, success, failed, or held (its status is null). `msg_id` is the
-- message that carries it now: a job that was replayed is a new message, and keeps its id. What is left of an earlier
-- queue of the same name is older than the job. Each table is looked into by its key.
create or replace view supaqueue._known_job with (security_invoker) as
select listed.id, listed.created_at, queue.id as queue, queue.name as queue_name, carried.msg_id, found.state,
       coalesce(result.completed_at, letter.died_at, request.cancelled_at) as ended_at
from supaqueue.listed_job as listed
join supaqueue._call_queue as queue on queue.id = listed.queue
cross join lateral (
    with recursive carrying (msg_id) as (
        select listed.msg_id
        union all
        select before.replayed_as
        from carrying
        join postmill.dead_letters as before
            on before.queue_name = queue.name and before.msg_id = carrying.msg_id
               and before.replayed_at is not null and before.died_at >= listed.created_at
               and before.replayed_as > carrying.msg_id  -- it ends
    )
    select max(carrying.msg_id) as msg_id from carrying
) as carried
left join postmill.results as result on result.queue_name = queue.name and result.msg_id = carried.msg_id
left join lateral (
    select max(dead.died_at) as died_at from postmill.dead_letters as dead
    where dead.queue_name = queue.name and dead.msg_id = carried.msg_id
      and dead.replayed_at is null and dead.died_at >= listed.created_at
) as letter on true
left join postmill.cancellations as request
    on request.queue_name = queue.name and request.msg_id = carried.msg_id and request.cancelled_at is not null
left join postmill.gates as gate on gate.queue_name = lower(queue.name) and gate.msg_id = carried.msg_id
left join postmill.blocked as blocked on blocked.queue_name = lower(queue.name) and blocked.msg_id = carried.msg_id
cross join lateral (
    select case
        when result.completed_at is not null then 'success'
        when coalesce(letter.died_at, request.cancelled_at) is not null then 'failed'
        when gate.claim_id is not null then 'in_progress'
        when coalesce(gate.rank, blocked.due_at) >= supaqueue._held_until() then 'held'
        when coalesce(gate.rank, blocked.due_at) is not null then 'pending'
        else supaqueue._state_outside(queue.name, carried.msg_id) end as state
) as found
where found.state <> 'gone';
comment on view supaqueue._known_job is 'Facade supaqueue of Postmill: jobs with their states.';
