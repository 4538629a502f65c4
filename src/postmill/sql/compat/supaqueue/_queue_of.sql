-- The queue of a job or a worker, from its id.
-- Called by the table listed_job. Takes no locks. Errors: none.
create or replace function supaqueue._queue_of(id uuid) returns uuid
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select (left(id::text, 19) || '8000-000000000000')::uuid;
$$;
revoke execute on function supaqueue._queue_of from public;
comment on function supaqueue._queue_of is 'Facade supaqueue of Postmill: the queue that an id is of.';
