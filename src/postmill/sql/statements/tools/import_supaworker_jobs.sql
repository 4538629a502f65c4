-- The jobs of Supaworker's queue $1 (null: of all), counted by table, by queue and by the reason why one stays where it
-- is (null: it is to be moved). What is to be moved is what supaworker.bridge takes.
-- Called by postmill import supaworker. Takes no locks. Errors: insufficient_privilege.
select found.source, found.queue, found.why, count(*) as jobs
from (
    select 'public.supaworker_jobs' as source, job.queue, case when not job.enabled then 'not enabled' end as why
    from public.supaworker_jobs as job
    union all
    select 'supaworker.jobs', job.queue,
           case when job.status not in ('PENDING', 'RETRY') then 'ended: ' || job.status
                when job.claimed_at is not null and job.updated_at + job.lease >= clock_timestamp()
                then 'a client of Supaworker has leased it' end
    from supaworker.jobs as job
) as found
where $1::text is null or found.queue = $1::text
group by found.source, found.queue, found.why
order by found.queue, found.source, found.why nulls first
