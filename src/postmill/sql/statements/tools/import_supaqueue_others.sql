-- The jobs of Supaqueue that do not wait, counted by queue and status.
-- Called by postmill import supaqueue, in the database that has them. Takes no locks. Errors: insufficient_privilege.
select job.queue::text, coalesce(job.status::text, 'null') as status, count(*) as jobs
from {schema}.job as job
where job.status is distinct from 'pending'
group by job.queue, job.status
order by job.queue, job.status
