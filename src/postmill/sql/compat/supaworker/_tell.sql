-- Tells the processes that run a Supaworker in Python of new jobs; see postmill.handlers.supaworker_bridge.
-- Called by the triggers supaworker_wake, once a statement. Takes no locks. Errors: none.
create or replace function supaworker._tell() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from inserted) then
        perform pg_notify('postmill:supaworker', '');
    end if;
    return null;
end
$$;
revoke execute on function supaworker._tell from public;
comment on function supaworker._tell is 'Facade supaworker of Postmill: tells of new jobs.';
