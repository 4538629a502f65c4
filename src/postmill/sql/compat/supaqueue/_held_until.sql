-- When a job is due that is held back, its status being null: no moment that anybody waits for. Later than that, a
-- message can't be sent.
-- Called by _known_job, _add_job and _change_status. Takes no locks. Errors: none.
create or replace function supaqueue._held_until() returns timestamptz
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select timestamptz '9998-01-01 00:00:00+00';
$$;
revoke execute on function supaqueue._held_until from public;
comment on function supaqueue._held_until is 'Facade supaqueue of Postmill: when a job that is held back is due.';
