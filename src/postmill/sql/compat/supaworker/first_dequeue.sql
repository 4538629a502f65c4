-- Takes the oldest job of a queue out of public.supaworker_jobs, as Supaworker's first version does: it is deleted, and
-- lost when the caller fails with it. Where that version's own function is there, it stays.
-- Called by applications, with their rights. Locks: the job's row; skips locked ones. Errors: insufficient_privilege.
do $do$
begin
    if to_regprocedure('public.dequeue(character varying)') is null then
        create function public.dequeue(queue_name character varying) returns setof public.supaworker_jobs
        language plpgsql volatile
        set search_path = pg_catalog, pg_temp
        as $$
        begin
            return query
            delete from public.supaworker_jobs as job
            where job.id = (
                select next.id from public.supaworker_jobs as next
                where next.queue = queue_name and next.enabled
                order by next.created_at limit 1 for update skip locked)
            returning job.*;
        end
        $$;
        revoke execute on function public.dequeue(character varying) from public;
        comment on function public.dequeue(character varying) is
            'Facade supaworker of Postmill: takes the oldest job out of its queue.';
    end if;
end
$do$;
