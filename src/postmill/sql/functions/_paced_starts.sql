-- Rate limits above 1,000: grants at most `wanted` starts at `moment` by their pace (GCRA). `tat` is when the next
-- start would be in time. A start may come early by the time of a burst, which is a 25th of the limit: a worker that
-- comes so late (4 % of `per`) loses nothing. The pace is that of the rest: starts + 1 - burst in each `per`. Both
-- together are never more than `starts` in any window of `per`, and 0.96 of them can be used.
-- `kept` is the new tat. `recent`: starts that were written down while the limit was lower; they count as well.
-- A tat further ahead than a whole `per` says that the clock was set back: the group then waits for one `per`, and not
-- for as long as the clock was wrong.
-- Whole microseconds; each division is rounded to the side of fewer starts.
-- Called by _allowed_starts. Takes no locks. Errors: none.
create or replace function postmill._paced_starts(
    recent timestamptz[], tat timestamptz, moment timestamptz, wanted integer, starts integer, per interval,
    out granted integer, out kept timestamptz, out again_at timestamptz
)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    length      constant interval := postmill._fixed_length(per);
    length_us   constant numeric := extract(epoch from length) * 1000000;
    burst       constant numeric := ceil(starts / 25.0);
    rest        constant numeric := 1 - burst + starts;
    microsecond constant interval := interval '1 microsecond';
    early_us    numeric;
begin
    select greatest(tat, moment, max(at + ceil((cardinality(recent) - place + 1) * length_us / rest) * microsecond))
    into kept
    from unnest(recent) with ordinality as t (at, place);
    kept := least(kept, moment + length);
    early_us := extract(epoch from kept - moment) * 1000000;
    granted := greatest(0, least(wanted, burst - div(early_us * rest + length_us - 1, length_us)));
    kept := kept + ceil(granted * length_us / rest) * microsecond;
    again_at := greatest(moment, kept - floor((burst - 1) * length_us / rest) * microsecond);
end
$$;
