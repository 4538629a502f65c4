-- Wakes an idle worker for a message that falls due at `due_at`, unless each idle worker looks by itself before: a look
-- tells when the next message falls due. For messages that are put where the trigger postmill_wake does not see that
-- they are due: at a gate, or by an update.
-- Called by _send, _send_grouped and _replace. Takes no locks. Errors: none.
create or replace function postmill._wake_for(queue text, due_at timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if due_at <= clock_timestamp() + interval '1 second' * (
        select max(max_poll_s) from postmill.idle_workers where queue_name = queue)
    then
        perform postmill._wake_one(queue);
    end if;
end
$$;
