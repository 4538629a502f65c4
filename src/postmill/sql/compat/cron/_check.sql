-- Refuses a schedule that can't be one. Errors: invalid_parameter_value.
create or replace function cron._check(schedule text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    words  text := lower(trim(regexp_replace(schedule, $re$\s+$re$, ' ', 'g')));
    ranges text := $re$(?:\*|%1$s(?:-%1$s)?)(?:/[0-9]+)?$re$;
    field  text;
    fields text := '';
begin
    foreach field in array array[
        '[0-5]?[0-9]', '(?:[01]?[0-9]|2[0-3])', $re$(?:0?[1-9]|[12][0-9]|3[01]|\$|l)$re$,
        '(?:0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)',
        '(?:[0-7]|sun|mon|tue|wed|thu|fri|sat)']
    loop
        fields := fields || format(' ' || ranges || '(?:,' || ranges || ')*', field);
    end loop;
    if words ~ '^@(yearly|annually|monthly|weekly|daily|midnight|hourly|reboot)$'
       or words ~ '^[1-9][0-9]{0,4} ?s(ec|ecs|econd|econds)?$' and substring(words, '^[0-9]+')::integer <= 86400
       or words ~ ('^' || substr(fields, 2) || '$') then
        return;
    end if;
    raise exception 'invalid schedule: %', schedule
        using errcode = 'invalid_parameter_value',
              hint = 'Five fields, such as 5 4 * * *, a name such as @daily, or a number of seconds: 30 seconds.';
end
$$;
comment on function cron._check is 'Facade cron of Postmill: refuses a schedule that can''t be one.';
