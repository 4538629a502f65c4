-- Why a queue is paused that has no worker. A limit is at least one, so no workers are a pause with this reason.
-- Called by _call_queue and _set_workers. Takes no locks. Errors: none.
create or replace function supaqueue._no_workers() returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select 'it has no worker in supaqueue.worker';
$$;
revoke execute on function supaqueue._no_workers from public;
comment on function supaqueue._no_workers is 'Facade supaqueue of Postmill: why a queue without workers is paused.';
