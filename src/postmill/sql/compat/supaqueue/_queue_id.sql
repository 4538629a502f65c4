-- The id of a queue: a UUID of version 8 with 60 bits of a digest of its name and the moment it was created. A queue
-- that is dropped and created again has another id, as its messages begin at 1 again. The last digits are 0: there
-- stands the number of a job or a worker.
-- Called by _call_queue. Takes no locks. Errors: none.
create or replace function supaqueue._queue_id(name text, created_at timestamptz) returns uuid
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select (left(digest, 8) || '-' || substr(digest, 9, 4) || '-8' || substr(digest, 13, 3)
            || '-8000-000000000000')::uuid
    from md5(extract(epoch from created_at)::text || ' ' || name) as digest;
$$;
revoke execute on function supaqueue._queue_id from public;
comment on function supaqueue._queue_id is 'Facade supaqueue of Postmill: the id of a queue.';
