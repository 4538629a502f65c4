-- Trigger function: sets the status of a job. From null to pending it may start, from pending to null it is held back,
-- and from failed to pending it is tried again from the start, under the same id.
-- Called by updates of supaqueue.job. Locks as _set_due or retry. Errors: those; PM003 a change that is none of these,
-- PM005 a job that was cancelled, or whose letter is gone.
create or replace function supaqueue._change_job() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    job supaqueue._known_job;
begin
    if (new.id, new.created_at, new.queue, new.payload)
           is distinct from (old.id, old.created_at, old.queue, old.payload)
       or (new.attempts <> old.attempts and not (old.status = 'failed' and new.attempts = 0))
    then
        perform supaqueue._refuse_given(
            'all of a job but its status', 'Delete the job, and insert another one.');
    elsif new.status is not distinct from old.status then
        return new;
    elsif new.status <> 'pending' or old.status in ('in_progress', 'success') then
        perform supaqueue._refuse_given(
            format('status %s of a job that is %s', coalesce(new.status::text, 'null'),
                   coalesce(old.status::text, 'held back')),
            'From null or failed it can be set to pending, and from pending to null. The others follow from what '
            'happens. A call that runs is ended by public.end_current_job.');
    elsif new.status is null and old.status <> 'pending' then
        perform supaqueue._refuse_given('null as the status of a job that has begun', 'Set it while it is pending.');
    end if;
    job := supaqueue._job_of_id(old.id);
    if old.status is distinct from 'failed' then
        perform supaqueue._set_due(
            job.queue_name, job.msg_id,
            case when new.status is null then supaqueue._held_until() else clock_timestamp() end);
    elsif postmill.retry(job.queue_name, job.msg_id) is distinct from 'replayed' then
        raise exception 'job % can''t be tried again', old.id
            using errcode = 'PM005', detail = 'It was cancelled, or its dead letter is gone.',
                  hint = 'Insert it again.';
    end if;
    return new;
end
$$;
revoke execute on function supaqueue._change_job from public;
create or replace trigger change_job instead of update on supaqueue.job for each row
    execute function supaqueue._change_job();
comment on function supaqueue._change_job is 'Facade supaqueue of Postmill: sets the status of a job.';
