-- Trigger function: wakes an idle worker of the queue TG_ARGV[0] when something was inserted, and sends no
-- notification when no worker is idle (a notification makes commits queue for one lock). SECURITY DEFINER because it
-- reads private tables, which a sender may not. A hint only: workers poll as well. Once a statement, not a row.
-- Called by the trigger postmill_wake. Takes no locks. Errors: none.
create or replace function postmill.wake() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    perform postmill._wake_one(tg_argv[0]);
    return null;
end
$$;
