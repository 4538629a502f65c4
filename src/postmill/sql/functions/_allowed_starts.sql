-- What a rate limit of `starts` in `per` gives at `moment`: `granted` of the `wanted` starts, what is to be remembered
-- of them (`then_recent` and `then_tat`, where `recent` and `tat` were), and when the next start is allowed.
-- A limit of up to 1,000 starts remembers each of the last ones (_window_starts). Above that the list would be long,
-- and their pace is kept (_paced_starts). What was remembered the other way is read such that the change of a limit
-- lets no window have too many: a pace says when the last start was, and all may have been then.
-- Called by _grant_starts and the view limits. Takes no locks. Errors: none.
create or replace function postmill._allowed_starts(
    recent timestamptz[], tat timestamptz, moment timestamptz, wanted integer, starts integer, per interval,
    out granted integer, out then_recent timestamptz[], out then_tat timestamptz, out again_at timestamptz
)
language plpgsql immutable strict
set search_path = pg_catalog, pg_temp
as $$
declare
    longest_list constant integer := 1000;
    never        constant timestamptz := '-infinity';
begin
    if starts > longest_list then
        then_recent := '{}';
        select p.granted, p.kept, p.again_at into granted, then_tat, again_at
        from postmill._paced_starts(recent, tat, moment, wanted, starts, per) as p;
        return;
    end if;
    then_recent := case when tat = never then recent else array_fill(tat, array[starts]) end;
    then_tat := never;
    select w.granted, w.kept, w.again_at into granted, then_recent, again_at
    from postmill._window_starts(then_recent, moment, wanted, starts, per) as w;
end
$$;
