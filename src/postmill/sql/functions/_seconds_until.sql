-- Whole seconds from now until a moment, rounded up so that nothing is early, never negative: what pgmq 1.4 takes as
-- delay.
-- Called by send and send_batch. Takes no locks. Errors: numeric_value_out_of_range beyond 68 years.
create or replace function postmill._seconds_until(moment timestamptz) returns integer
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select least(2147483647, greatest(0, ceil(extract(epoch from moment - clock_timestamp()))))::integer;
$$;
