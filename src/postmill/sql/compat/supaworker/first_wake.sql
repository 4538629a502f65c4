-- Tells of new jobs of the first version. Where the table is another role's, there is no trigger: workers find such
-- jobs when they look.
do $$
begin
    if exists (select from pg_class
               where oid = 'public.supaworker_jobs'::regclass and pg_has_role(relowner, 'usage')) then
        create or replace trigger supaworker_wake after insert on public.supaworker_jobs
            referencing new table as inserted for each statement execute function supaworker._tell();
        comment on trigger supaworker_wake on public.supaworker_jobs is
            'Facade supaworker of Postmill: tells of new jobs.';
    end if;
end
$$;
