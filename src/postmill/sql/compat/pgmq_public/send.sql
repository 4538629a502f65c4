-- Sends a message, which is seen after so many seconds, and returns its id.
-- Called by applications. Locks: as pgmq.send. Errors: as _check, insufficient_privilege.
create or replace function pgmq_public.send(queue_name text, message jsonb, sleep_seconds integer default 0)
returns setof bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
begin
    perform pgmq_public._check(queue_name, sleep_seconds);
    return query select * from pgmq.send(queue_name, message, sleep_seconds);
end
$$;
revoke execute on function pgmq_public.send from public;
comment on function pgmq_public.send is 'Facade pgmq_public of Postmill: sends a message.';
