-- Sends messages, which are seen after so many seconds, and returns their ids in order.
-- Called by applications. Locks: as pgmq.send_batch. Errors: as _check, insufficient_privilege.
create or replace function pgmq_public.send_batch(queue_name text, messages jsonb[], sleep_seconds integer default 0)
returns setof bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
begin
    perform pgmq_public._check(queue_name, sleep_seconds);
    return query select * from pgmq.send_batch(queue_name, messages, sleep_seconds);
end
$$;
revoke execute on function pgmq_public.send_batch from public;
comment on function pgmq_public.send_batch is 'Facade pgmq_public of Postmill: sends messages.';
