-- Takes one message out of the queue. It is lost when the caller fails with it.
-- Called by applications. Locks: as pgmq.pop. Errors: as _check, insufficient_privilege.
create or replace function pgmq_public.pop(queue_name text)
returns setof pgmq.message_record
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
begin
    perform pgmq_public._check(queue_name);
    return query select * from pgmq.pop(queue_name);
end
$$;
revoke execute on function pgmq_public.pop from public;
comment on function pgmq_public.pop is 'Facade pgmq_public of Postmill: takes one message out of the queue.';
