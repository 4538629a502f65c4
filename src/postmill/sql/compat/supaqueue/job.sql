-- As Supaqueue's table. Payload and attempts are looked up only where they are asked for. Written to by _add_job,
-- _change_job and _remove_job.
create or replace view supaqueue.job with (security_invoker) as
select known.id, known.created_at, known.queue, supaqueue._payload(known.queue_name, known.msg_id) as payload,
       (select tried.times + (known.state in ('in_progress', 'success'))::integer
        from postmill._tried(known.queue_name, known.msg_id, known.created_at) as tried) as attempts,
       nullif(known.state, 'held')::supaqueue.job_status as status,
       coalesce(known.ended_at, (
           select max(failure.failed_at) from postmill.failures as failure
           where failure.queue_name = known.queue_name and failure.msg_id = known.msg_id
             and failure.failed_at >= known.created_at), known.created_at) as updated_at
from supaqueue._known_job as known;
alter view supaqueue.job alter column payload set default '{}';
alter view supaqueue.job alter column attempts set default 0;
alter view supaqueue.job alter column status set default 'pending';
comment on view supaqueue.job is 'Facade supaqueue of Postmill: the jobs.';
