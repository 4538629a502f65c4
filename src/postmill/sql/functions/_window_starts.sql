-- Rate limits of up to 1,000: grants at most `wanted` starts at `moment`, so that no window of `per` has more than
-- `starts`. `recent` are the last starts, oldest first, and `kept` those after this one, at most `starts` of them. So
-- the whole limit may start at once, and each of them frees its place after exactly `per`.
-- A start in the future says that the clock was set back. It is taken for one of this moment: the limit goes on to
-- hold, and the group waits for one `per` and not for as long as the clock was wrong.
-- Called by _allowed_starts. Takes no locks. Errors: none.
create or replace function postmill._window_starts(
    recent timestamptz[], moment timestamptz, wanted integer, starts integer, per interval,
    out granted integer, out kept timestamptz[], out again_at timestamptz
)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    length constant interval := postmill._fixed_length(per);
    taken  integer;
begin
    kept := recent;
    if kept[cardinality(kept)] > moment then
        kept := array(select least(at, moment) from unnest(kept) with ordinality as t (at, place) order by place);
    end if;
    taken := (select count(*) from unnest(kept) as at where at > moment - length);
    granted := greatest(0, least(wanted, starts - taken));
    if granted > 0 then
        kept := kept || array_fill(moment, array[granted]);
    end if;
    kept := kept[greatest(1, cardinality(kept) - starts + 1):];
    again_at := case when taken + granted < starts then moment else kept[1] + length end;
end
$$;
