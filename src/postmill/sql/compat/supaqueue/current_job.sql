-- As Supaqueue's table: the jobs that run, each with its worker; without one where the workers were made fewer since it
-- began. The id is of this attempt. Written to by _end_current_job.
create or replace view supaqueue.current_job with (security_invoker) as
select md5(concat_ws(' ', running.job, running.claim_id))::uuid as id, running.created_at,
       supaqueue._worker_id(running.queue, (supaqueue._numbers(running.queue, running.workers))[running.place])
           as worker,
       running.job, false as is_complete, null::boolean as is_successful
from (
    select queue.id as queue, queue.workers, gate.claim_id, claim.claimed_at as created_at,
           supaqueue._job_id(queue.id, supaqueue._first_message(queue.name, gate.msg_id)) as job,
           row_number() over (partition by queue.id order by gate.claim_id, gate.msg_id)::integer as place
    from supaqueue._call_queue as queue
    join postmill.gates as gate on gate.queue_name = lower(queue.name) and gate.claim_id is not null
    join postmill.claims as claim on claim.claim_id = gate.claim_id
) as running;
comment on view supaqueue.current_job is 'Facade supaqueue of Postmill: the jobs that run.';
