-- Trigger function: tells the processes that fire schedules to look, at commit. A hint only: they also look by
-- themselves, every 15 s at least.
-- Called by the trigger tell_schedulers, once a statement. Takes no locks. Errors: none.
create or replace function postmill._tell_schedulers() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_notify('postmill:schedules', '');
    return null;
end
$$;
