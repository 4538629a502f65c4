-- Trigger function: ends a job that runs, as an update of is_complete and is_successful says. An update that does not
-- complete it changes nothing.
-- Called by updates of supaqueue.current_job. Lock order: the message's row, then as _succeed or _fail. Errors: those;
-- PM003 is_successful is null or another column was changed, PM005 the attempt has ended.
create or replace function supaqueue._end_current_job() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    job    supaqueue._known_job;
    place  postmill.gates;
begin
    if (new.id, new.created_at, new.worker, new.job) is distinct from (old.id, old.created_at, old.worker, old.job) then
        perform supaqueue._refuse_given(
            'id, created_at, worker and job of a current job', 'Set is_complete and is_successful.');
    elsif new.is_complete is distinct from true then
        return new;
    elsif new.is_successful is null then
        raise exception 'is_successful is null'
            using errcode = 'PM003', hint = 'Say true, or false for a failed attempt.';
    end if;
    job := supaqueue._job_of_id(old.job);
    execute format('select from %s where msg_id = $1 for update', postmill._queue_table(job.queue_name))
    using job.msg_id;
    select * into place from postmill.gates as gate
    where gate.queue_name = lower(job.queue_name) and gate.msg_id = job.msg_id;
    if md5(concat_ws(' ', old.job, place.claim_id))::uuid is distinct from old.id then
        raise exception 'this attempt of job % has ended', old.job
            using errcode = 'PM005', hint = 'Read supaqueue.current_job again.';
    elsif new.is_successful then
        perform supaqueue._succeed(job.queue_name, job.msg_id, place.claim_id);
    else
        perform supaqueue._fail(job.queue_name, job.msg_id, place.claim_id);
    end if;
    return new;
end
$$;
revoke execute on function supaqueue._end_current_job from public;
create or replace trigger end_current_job instead of update on supaqueue.current_job for each row
    execute function supaqueue._end_current_job();
comment on function supaqueue._end_current_job is 'Facade supaqueue of Postmill: ends a job that runs.';
