-- Leases the oldest job of a queue, and returns it. A status of SUCCESS or ERROR settles it. A job whose worker has
-- fallen silent for longer than the lease is leased again; each update of the row renews the lease.
-- Called by applications, with their rights. Locks: the job's row; skips locked ones. Errors: insufficient_privilege.
create or replace function supaworker.dequeue(queue_name character varying) returns setof supaworker.jobs
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    update supaworker.jobs as job set claimed_at = clock_timestamp()
    where job.id = (
        select next.id from supaworker.jobs as next
        where next.queue = queue_name and next.status in ('PENDING', 'RETRY')
          and (next.claimed_at is null or next.updated_at + next.lease < clock_timestamp())
        order by next.created_at limit 1 for update skip locked)
    returning job.*;
end
$$;
revoke execute on function supaworker.dequeue from public;
comment on function supaworker.dequeue is 'Facade supaworker of Postmill: leases the oldest job of a queue.';
