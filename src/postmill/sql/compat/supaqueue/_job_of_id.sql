-- The job of an id; refuses what is none.
-- Called by _add_dependency. Takes no locks. Errors: PM001 there is no such job, PM003 null.
create or replace function supaqueue._job_of_id(id uuid) returns supaqueue._known_job
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    found_job supaqueue._known_job;
begin
    if id is null then
        raise exception 'the job is null' using errcode = 'PM003', hint = 'Give the id of a row of supaqueue.job.';
    end if;
    select * into found_job from supaqueue._known_job as job where job.id = _job_of_id.id;
    if not found then
        raise exception 'there is no job %', id
            using errcode = 'PM001', hint = 'Its id is what its insert into supaqueue.job returned.';
    end if;
    return found_job;
end
$$;
revoke execute on function supaqueue._job_of_id from public;
comment on function supaqueue._job_of_id is 'Facade supaqueue of Postmill: the job of an id.';
