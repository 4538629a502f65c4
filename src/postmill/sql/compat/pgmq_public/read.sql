-- Leases up to n messages: nobody else sees them for so many seconds.
-- Called by applications. Locks: as pgmq.read. Errors: as _check, insufficient_privilege.
create or replace function pgmq_public.read(queue_name text, sleep_seconds integer, n integer)
returns setof pgmq.message_record
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
begin
    perform pgmq_public._check(queue_name, sleep_seconds, n);
    return query select * from pgmq.read(queue_name, sleep_seconds, n);
end
$$;
revoke execute on function pgmq_public.read from public;
comment on function pgmq_public.read is 'Facade pgmq_public of Postmill: leases messages.';
