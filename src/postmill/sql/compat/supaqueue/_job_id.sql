-- The id of a job: its queue's, with the number of its message in the last 15 hexadecimal digits.
-- Called by the views and by _add_job. Takes no locks. Errors: none.
create or replace function supaqueue._job_id(queue uuid, msg_id bigint) returns uuid
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select (left(queue::text, 20) || left(digits, 3) || '-' || right(digits, 12))::uuid
    from lpad(to_hex(msg_id), 15, '0') as digits;
$$;
revoke execute on function supaqueue._job_id from public;
comment on function supaqueue._job_id is 'Facade supaqueue of Postmill: the id of a job.';
