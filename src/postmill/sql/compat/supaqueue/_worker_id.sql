-- The id of a queue's worker: as that of a job, with a 9 in place of the 8 before the number.
-- Called by the views and by _add_worker. Takes no locks. Errors: none.
create or replace function supaqueue._worker_id(queue uuid, number integer) returns uuid
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select overlay(supaqueue._job_id(queue, number)::text placing '9' from 20 for 1)::uuid;
$$;
revoke execute on function supaqueue._worker_id from public;
comment on function supaqueue._worker_id is 'Facade supaqueue of Postmill: the id of a worker.';
