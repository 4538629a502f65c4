-- Deletes a message; false when it is not in the queue.
-- Called by applications. Locks: as pgmq.delete. Errors: as _check, insufficient_privilege.
create or replace function pgmq_public.delete(queue_name text, message_id bigint)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
begin
    perform pgmq_public._check(queue_name);
    return pgmq.delete(queue_name, message_id);
end
$$;
revoke execute on function pgmq_public.delete from public;
comment on function pgmq_public.delete is 'Facade pgmq_public of Postmill: deletes a message.';
