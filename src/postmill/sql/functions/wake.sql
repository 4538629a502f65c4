-- Trigger function: tells waiting workers of the queue TG_ARGV[0] that something was inserted, and stays silent when nobody
-- waits (a notification makes commits queue for one lock). SECURITY DEFINER because it reads a private table while a
-- stranger sends. A hint only: workers poll as well. Once a statement, not a row.
-- Called by the trigger postmill_wake. Takes no locks. Errors: none.
create or replace function postmill.wake() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
    if exists (select from postmill.listeners where queue_name = tg_argv[0]) then
        perform pg_notify('postmill.' || tg_argv[0], '');
    end if;
    return null;
end
$$;
