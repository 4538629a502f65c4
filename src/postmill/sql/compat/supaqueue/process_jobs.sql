-- Wakes a worker of each queue. Workers take jobs by themselves, also of a queue where this is never called.
-- Called by applications, as with Supaqueue. Takes no locks. Errors: none.
create or replace function supaqueue.process_jobs() returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select postmill._wake_one(queue.name) from supaqueue._call_queue as queue;
$$;
revoke execute on function supaqueue.process_jobs from public;
comment on function supaqueue.process_jobs is 'Facade supaqueue of Postmill: wakes workers.';
