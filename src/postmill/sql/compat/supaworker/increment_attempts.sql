-- Counts one more attempt at a job, renews its lease, and returns it; nothing when there is no such job.
-- Called by applications, with their rights. Locks: the job's row. Errors: insufficient_privilege.
create or replace function supaworker.increment_attempts(job_id bigint) returns setof supaworker.jobs
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    update supaworker.jobs as job set attempts = job.attempts + 1 where job.id = job_id returning job.*;
end
$$;
revoke execute on function supaworker.increment_attempts from public;
comment on function supaworker.increment_attempts is 'Facade supaworker of Postmill: counts an attempt.';
