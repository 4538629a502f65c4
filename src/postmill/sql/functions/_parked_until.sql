-- The visibility time of a message that is parked: no client claims it before. Neither infinity nor the last day of
-- that year, since clients in some time zones can't read those.
-- Called by every function that parks or opens a message. Takes no locks. Errors: none.
create or replace function postmill._parked_until() returns timestamptz
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select timestamptz '9999-01-01 00:00:00+00';
$$;
