-- Trigger function: wakes an idle worker of the queue TG_ARGV[0] when something was inserted that the worker would not
-- find in time by itself. It sends no notification when no worker is idle (a notification makes commits queue for one
-- lock), when nothing was inserted, or when the first of the inserted messages falls due only after each idle worker
-- has looked again: a look tells when the next message falls due. SECURITY DEFINER because it reads private tables,
-- which a sender may not. A hint only: workers poll as well. Once a statement, not a row.
-- Called by the trigger postmill_wake, with a second argument where it passes the inserted rows as `sent`; a trigger of
-- an earlier release does not, and then each statement wakes. Takes no locks. Errors: none.
create or replace function postmill.wake() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    looks_by constant timestamptz := clock_timestamp() + interval '1 second' * (
        select max(max_poll_s) from postmill.idle_workers where queue_name = tg_argv[0]);
begin
    if looks_by is null then
        return null;
    end if;
    if tg_nargs > 1 then  -- a condition of its own: where there is no `sent`, the next one must not be read
        if not exists (select from sent where vt <= looks_by) then
            return null;
        end if;
    end if;
    perform postmill._wake_one(tg_argv[0]);
    return null;
end
$$;
