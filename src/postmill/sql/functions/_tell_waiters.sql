-- Notifies the clients that wait for the end of these messages, and no others: nothing is sent when no client waits.
-- Called by cancel, _take_blocked and by the statements that end messages and keep something about them, in their
-- transaction; a client that has missed it polls. Reads postmill.waiters. Takes no locks. Errors: none.
create or replace function postmill._tell_waiters(queue text, ids bigint[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_notify(waiter.channel, format('%s %s', waiter.msg_id, queue))
    from postmill.waiters as waiter
    where waiter.queue_name = queue and waiter.msg_id = any (ids);
end
$$;
