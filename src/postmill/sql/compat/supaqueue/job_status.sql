-- What a job's status can be. A job that is held back has none.
do $$
begin
    if to_regtype('supaqueue.job_status') is null then
        create type supaqueue.job_status as enum ('pending', 'in_progress', 'success', 'failed');
    end if;
end
$$;
comment on type supaqueue.job_status is 'Facade supaqueue of Postmill: what a job''s status can be.';
