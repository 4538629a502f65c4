-- Grants starts under a rate limit: at most `wanted`, as many as the limit of `starts` in `per` has left. They are
-- written down in the group's row, so they count from now on. `again_at`: when the next start is allowed; it is not in
-- the future while some are left. With `wanted` 0 it only tells that.
-- Called by claim_gated, which holds the row, with the number of messages that it can really take.
-- Locks: the group's row; the clock is read after that. Errors: none.
create or replace function postmill._grant_starts(
    queue text, group_key text, wanted integer, starts integer, per interval,
    out granted integer, out again_at timestamptz
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    moment timestamptz;
    known  postmill.groups;
    found  record;
begin
    insert into postmill.groups (queue_name, group_key)
    select _grant_starts.queue, _grant_starts.group_key
    where not exists (select from postmill.groups as g
                      where g.queue_name = _grant_starts.queue and g.group_key = _grant_starts.group_key)
    on conflict do nothing;
    select g.* into known from postmill.groups as g
    where g.queue_name = _grant_starts.queue and g.group_key = _grant_starts.group_key for update;
    moment := clock_timestamp();
    select * into found
    from postmill._allowed_starts(
        known.recent, known.tat, moment, wanted, _grant_starts.starts, _grant_starts.per);
    granted := found.granted;
    again_at := found.again_at;
    if (found.then_recent, found.then_tat) is distinct from (known.recent, known.tat) then
        update postmill.groups as g set recent = found.then_recent, tat = found.then_tat
        where g.queue_name = _grant_starts.queue and g.group_key = _grant_starts.group_key;
    end if;
end
$$;
