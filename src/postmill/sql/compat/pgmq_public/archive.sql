-- Moves a message into the archive; false when it is not in the queue.
-- Called by applications. Locks: as pgmq.archive. Errors: as _check, insufficient_privilege.
create or replace function pgmq_public.archive(queue_name text, message_id bigint)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
begin
    perform pgmq_public._check(queue_name);
    return pgmq.archive(queue_name, message_id);
end
$$;
revoke execute on function pgmq_public.archive from public;
comment on function pgmq_public.archive is 'Facade pgmq_public of Postmill: moves a message into the archive.';
