-- Whether an error with this SQLSTATE passes by itself: the same statement may succeed later, without any change to it.
-- A lock, a deadlock, a lack of memory or disk, a server that stops.
-- Called by _release, _follow_up, fire_schedules and the sweep. Takes no locks. Errors: none.
create or replace function postmill._passes(state text) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select left(state, 2) in ('08', '40', '53', '55', '57', '58') or state in ('25006', '25P03', '25P04');
$$;
