-- The jobs of Supaqueue that wait, in the order in which it would take them.
-- Called by postmill import supaqueue, in the database that has them. Locks: where they are moved, the jobs, skipping
-- those that Supaqueue starts in this moment. Errors: insufficient_privilege.
select job.id::text, job.queue::text, job.attempts
from {schema}.job as job
where job.status = 'pending'
order by job.updated_at, job.id
for update skip locked --? moving
