-- Refuses limits that can't be kept: a number below 1, a rate without its length of time or the other way round, a
-- length of time that is nothing or longer than 100 days (the starts in it are remembered).
-- Called by limit_queue and limit_groups. Takes no locks. Errors: PM003.
create or replace function postmill._check_limits(max_running integer, starts integer, per interval) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if max_running < 1 then
        raise exception 'max_running must be at least 1, not %', max_running
            using errcode = 'PM003', hint = 'To stop a queue, pause it. Leave max_running out for no limit.';
    elsif starts < 1 then
        raise exception 'starts must be at least 1, not %', starts
            using errcode = 'PM003', hint = 'For one start in a long time, give starts => 1 and that time as per.';
    elsif (starts is null) <> (per is null) then
        raise exception 'a rate limit needs both starts and per'
            using errcode = 'PM003', hint = 'For example starts => 10, per => ''1 minute''.';
    elsif per <= interval '0' then
        raise exception 'per must be a length of time, not %', per
            using errcode = 'PM003', hint = 'For example starts => 10, per => ''1 minute''.';
    elsif not isfinite(per) or per > interval '100 days' then
        raise exception 'the time of a rate limit is at most 100 days, not %', justify_hours(per)
            using errcode = 'PM003', hint = 'Give fewer starts in a shorter time.';
    end if;
end
$$;
