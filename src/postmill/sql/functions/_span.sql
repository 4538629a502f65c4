-- A time span in words, rounded up: `4 s`, `3 min`, `5 h`, `2 d`.
-- Called by _blocked, _limit_reached and why. Takes no locks. Errors: none.
create or replace function postmill._span(span interval) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when seconds < 120 then ceil(seconds) || ' s'
        when seconds < 7200 then ceil(seconds / 60) || ' min'
        when seconds < 172800 then ceil(seconds / 3600) || ' h'
        else ceil(seconds / 86400) || ' d'
    end
    from (values (extract(epoch from span))) as lasting (seconds);
$$;
