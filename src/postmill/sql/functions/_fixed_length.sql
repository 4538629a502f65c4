-- The same length of time in seconds only. A day has 24 hours and a month 30 days, wherever it is subtracted: with the
-- day of a time zone, a window over a change of clocks would be an hour shorter or longer.
-- Called by _window_starts, _paced_starts. Takes no locks. Errors: none.
create or replace function postmill._fixed_length(length interval) returns interval
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select extract(epoch from length)::double precision * interval '1 second'
$$;
