-- A time in words, in the session's time zone: today's as `12:00:00 UTC`, others with their date.
-- Called by _time_to_come and why. Takes no locks. Errors: none.
create or replace function postmill._moment(at timestamptz) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when not isfinite(at) then 'never'
        when at::date = current_date then to_char(at, 'HH24:MI:SS TZ')
        else to_char(at, 'YYYY-MM-DD HH24:MI:SS TZ')
    end;
$$;
