-- Trigger function: cancels a job, and forgets its id. What waits for it does not any more, as there. A call that runs
-- is ended.
-- Called by deletes from supaqueue.job. Locks as release, then as cancel. Errors: as these.
create or replace function supaqueue._remove_job() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    job supaqueue._known_job := supaqueue._job_of_id(old.id);
begin
    perform postmill._release(job.queue_name, array[job.msg_id], 'completed');
    perform postmill.cancel(job.queue_name, job.msg_id);
    delete from supaqueue.listed_job as listed where listed.id = old.id;
    return old;
end
$$;
revoke execute on function supaqueue._remove_job from public;
create or replace trigger remove_job instead of delete on supaqueue.job for each row
    execute function supaqueue._remove_job();
comment on function supaqueue._remove_job is 'Facade supaqueue of Postmill: cancels a job.';
