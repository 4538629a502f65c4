-- Takes the wake-up trigger off a queue; workers then find its messages by polling. Nothing happens when there is none.
-- Called by people. Locks: ACCESS EXCLUSIVE on the queue's table for a moment, only when there is a trigger.
-- Errors: PM001 no such queue, insufficient_privilege for anyone but the owner of its table.
create or replace function postmill.disable_wakeups(queue text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    relation regclass := postmill._queue_table(queue);
begin
    if exists (select from pg_trigger where tgrelid = relation and tgname = 'postmill_wake') then
        execute format('drop trigger if exists postmill_wake on %s', relation);
    end if;
end
$$;
