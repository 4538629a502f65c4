-- Notifies the clients that watch these runs, and no others: nothing is sent when nobody watches. A transaction tells a
-- client of a run once, whatever it has changed, when it commits. A watched run stands in postmill.waiters under the
-- name '#runs', which no queue can have.
-- Called by what changes runs, in its transaction; a client that has missed it polls. Takes no locks. Errors: none.
create or replace function postmill._tell_watchers(run_ids bigint[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_notify(waiter.channel, format('%s #runs', waiter.msg_id))
    from postmill.waiters as waiter
    where waiter.queue_name = '#runs' and waiter.msg_id = any (run_ids);
end
$$;
