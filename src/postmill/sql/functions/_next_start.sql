-- When the rate limit of a group, or of a queue, allows the next start: now or in the past while some are left.
-- `recent` and `tat` are what the group's row remembers of its last starts; see _grant_starts.
-- Called by _limit_reached. Takes no locks. Errors: none.
create or replace function postmill._next_start(recent timestamptz[], tat timestamptz, starts integer, per interval)
returns timestamptz
language sql stable
set search_path = ''
as $$
    select case when starts <= 1000 then
        (select again_at from postmill._window_starts(
            case when tat = '-infinity' then recent else array_fill(tat, array[starts]) end,
            clock_timestamp(), 0, starts, per))
    else
        (select again_at from postmill._paced_starts(recent, tat, clock_timestamp(), 0, starts, per))
    end;
$$;
