-- The time by which schedules and retention are judged: the server's clock, moved by the setting postmill.clock_shift
-- (an interval, e.g. `set postmill.clock_shift = '1 day'`) so that tests need not wait. Leases never use it.
-- Called by functions and views of this schema. Errors: invalid_datetime_format when the setting is not an interval.
create or replace function postmill.now() returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select clock_timestamp()
        + coalesce(nullif(current_setting('postmill.clock_shift', true), '')::interval, interval '0');
$$;
