-- Grants starts under a rate limit: at most `wanted`, as many as the limit of `starts` in `per` has left. They are
-- written down in the group's row, so they count from now on. `again_at`: when the next start is allowed; it is not in
-- the future while some are left. With `wanted` 0 it only tells that.
-- A limit of up to 1,000 starts remembers each of the last ones (_window_starts). Above that the list would be long,
-- and their pace is kept (_paced_starts). A row that was written the other way is read so that the change of the limit
-- lets no window have too many.
-- Called by claim_gated, which holds the row, with the number of messages that it can really take.
-- Locks: the group's row; the clock is read after that. Errors: none.
create or replace function postmill._grant_starts(
    queue text, group_key text, wanted integer, starts integer, per interval,
    out granted integer, out again_at timestamptz
)
language plpgsql volatile
set search_path = ''
as $$
#variable_conflict use_column
declare
    longest_list constant integer := 1000;
    never        constant timestamptz := '-infinity';
    moment       timestamptz;
    known        postmill.groups;
    changed      postmill.groups;
begin
    insert into postmill.groups (queue_name, group_key)
    select _grant_starts.queue, _grant_starts.group_key
    where not exists (select from postmill.groups as g
                      where g.queue_name = _grant_starts.queue and g.group_key = _grant_starts.group_key)
    on conflict do nothing;
    select g.* into known from postmill.groups as g
    where g.queue_name = _grant_starts.queue and g.group_key = _grant_starts.group_key for update;
    moment := clock_timestamp();
    changed := known;
    if _grant_starts.starts <= longest_list then
        changed.recent := case when known.tat = never then known.recent
                               else array_fill(known.tat, array[_grant_starts.starts]) end;
        changed.tat := never;
        select w.granted, w.kept, w.again_at into granted, changed.recent, again_at
        from postmill._window_starts(changed.recent, moment, wanted, _grant_starts.starts, _grant_starts.per) as w;
    else
        changed.recent := '{}';
        select p.granted, p.kept, p.again_at into granted, changed.tat, again_at
        from postmill._paced_starts(
            known.recent, known.tat, moment, wanted, _grant_starts.starts, _grant_starts.per) as p;
    end if;
    if granted > 0 or changed is distinct from known then
        update postmill.groups as g set recent = changed.recent, tat = changed.tat
        where g.queue_name = _grant_starts.queue and g.group_key = _grant_starts.group_key;
    end if;
end
$$;
