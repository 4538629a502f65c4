-- The number in the id of a job or a worker.
-- Called by the table listed_job and by _remove_worker. Takes no locks. Errors: none.
create or replace function supaqueue._number_of(id uuid) returns bigint
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select ('x0' || substr(id::text, 21, 3) || right(id::text, 12))::bit(64)::bigint;
$$;
revoke execute on function supaqueue._number_of from public;
comment on function supaqueue._number_of is 'Facade supaqueue of Postmill: the number in an id.';
