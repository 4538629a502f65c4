-- Ends a job that runs, before its call has answered. An id that names no running job changes nothing, as there.
-- Called by applications with a service role: it runs with its caller's rights, and nobody else may execute it. Locks
-- and errors as supaqueue._end_current_job.
create or replace function public.end_current_job(cur_job_id uuid, _is_complete boolean, _is_successful boolean)
returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    update supaqueue.current_job as running set is_complete = _is_complete, is_successful = _is_successful
    where running.id = cur_job_id;
$$;
revoke execute on function public.end_current_job from public;
comment on function public.end_current_job is 'Facade supaqueue of Postmill: ends a job that runs.';
