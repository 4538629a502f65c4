-- Trigger function: a row of supaqueue.job is a message of its queue. With the status null it is held back until that
-- is set to pending.
-- Called by inserts into the view. Locks as send_jobs; now and then as _tidy_jobs. Errors: as _queue_of_id and
-- send_jobs; PM003 a column that is null or can't be written.
create or replace function supaqueue._add_job() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    queue  supaqueue._call_queue := supaqueue._queue_of_id(new.queue);
    msg_id bigint;
begin
    if num_nonnulls(new.id, new.created_at, new.updated_at) > 0 or new.attempts is distinct from 0 then
        perform supaqueue._refuse_given(
            'id, created_at, updated_at and attempts of a job',
            'Leave them out, and take the id: insert into supaqueue.job (queue, payload) values (...) returning id.');
    elsif new.status <> 'pending' then
        perform supaqueue._refuse_given(
            format('the status %s of a new job', new.status), 'Leave it out, or give null to hold the job back.');
    elsif new.payload is null then
        raise exception 'the payload is null' using errcode = 'PM003', hint = 'Leave it out for ''{}''.';
    end if;
    select sent.msg_id into msg_id
    from postmill.send_jobs(
        queue.name, array[new.payload], run_at => case when new.status is null then supaqueue._held_until() end)
        as sent;
    new.id := supaqueue._job_id(queue.id, msg_id);
    insert into supaqueue.listed_job as listed (id, created_at) values (new.id, clock_timestamp())
    returning listed.created_at into new.created_at;
    new.updated_at := new.created_at;
    if msg_id % 100 = 0 then
        perform supaqueue._tidy_jobs();
    end if;
    return new;
end
$$;
revoke execute on function supaqueue._add_job from public;
create or replace trigger add_job instead of insert on supaqueue.job for each row
    execute function supaqueue._add_job();
comment on function supaqueue._add_job is 'Facade supaqueue of Postmill: sends a job.';
