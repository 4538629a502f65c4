-- Notes that a job was written, which renews its lease. A status that becomes PENDING puts it back into its queue.
-- Called by the trigger touch. Takes no locks. Errors: none.
create or replace function supaworker._touch() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.updated_at := clock_timestamp();
    if new.status = 'PENDING' and old.status <> 'PENDING' then
        new.claimed_at := null;
    end if;
    return new;
end
$$;
revoke execute on function supaworker._touch from public;
comment on function supaworker._touch is 'Facade supaworker of Postmill: renews a lease.';
