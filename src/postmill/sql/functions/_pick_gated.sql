-- Chooses at most `room` messages that may start now in the groups `keys`, an equal share in each, and locks the
-- groups' rows, each where it was a moment ago (`rows_at`): until the transaction ends nothing else starts there. One
-- that was written meanwhile counts as locked. The places that are taken are counted in a statement of its own after
-- that, whose snapshot has every claim that was made under the locks. Counted in the statement that locks, a group runs
-- more than it may.
-- Where each group has a share of one, or not more than one place free, the gates that were the first ones a moment ago
-- (`firsts_at`) are taken, as far as they are still there: one that names a claim by now is another version of its row.
-- To find them anew would be a look into the index for each message. No place is given to another row meanwhile:
-- nothing that has ended since the outer statement began is vacuumed before its end.
-- Otherwise what is chosen is in the order of `keys`, which has no more than `room`: the last one had the last turn.
-- `is_full`: a group has no place free; `is_busy`: another session works on a group; `has_more`: a share was too small,
-- or a first gate is gone; `has_limits`: one of the groups may become full.
-- `starts` and `periods`: the rates of the groups `locked`, null where there is none.
-- Called by claim_gated. Lock order: rows of groups (skipping locked ones), then as _give_places. Errors: none.
create or replace function postmill._pick_gated(
    queue text, limits postmill.queues, keys text[], rows_at tid[], firsts_at tid[], room integer, at timestamptz,
    since timestamptz, oldest bigint, left_out bigint[],
    out ids bigint[], out of_keys text[], out is_full boolean, out is_busy boolean, out has_more boolean,
    out has_limits boolean, out locked text[], out starts integer[], out periods interval[]
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    maxima  integer[];
    quantum integer;
begin
    select coalesce(array_agg(g.group_key), '{}'), array_agg(g.maximum), array_agg(g.starts), array_agg(g.per)
    into locked, maxima, starts, periods
    from unnest(keys, rows_at) as next (group_key, row_at)
    cross join lateral (
        select g.group_key,
               case when g.group_key <> '' then coalesce(g.max_running, limits.group_max_running) end as maximum,
               case when g.group_key <> '' then coalesce(g.starts, limits.group_starts) end as starts,
               case when g.starts is null then limits.group_per else g.per end as per
        from postmill.groups as g
        where g.ctid = next.row_at and g.queue_name = queue and g.group_key = next.group_key
          for update skip locked
    ) as g;
    is_busy := cardinality(locked) < cardinality(keys);
    is_full := false;
    has_more := is_busy;
    has_limits := coalesce(array_remove(maxima, null) <> '{}', false);
    if locked = '{}' then
        return;
    elsif has_limits then
        perform postmill._give_places(limits.queue_name);
    end if;
    quantum := case when cardinality(keys) >= 0.9 * room then 1 else ceil(room::numeric / cardinality(locked)) end;
    with place as materialized (
        select l.key, case when l.maximum is null then quantum else l.maximum - (
                   select count(*) from postmill.gates as held
                   where held.queue_name = queue and held.group_key = l.key and held.claim_id >= oldest
               ) end as free
        from unnest(locked, maxima) as l (key, maximum)
    ), mode as materialized (
        select left_out = '{}' and (quantum = 1 or not exists (select from place where place.free > 1)) as by_one
    ), pick as materialized (
        select g.msg_id, g.group_key as key
        from postmill.gates as g
        where (select mode.by_one from mode) and g.ctid = any (firsts_at)
          and (g.group_key in (select place.key from place where place.free > 0)) is true
        union all
        select waiting.msg_id, place.key
        from place
        cross join lateral (
            select g.msg_id from postmill.gates as g
            where g.queue_name = queue and g.group_key = place.key and g.claim_id is null
              and g.rank > since and g.rank <= at and g.msg_id <> all (left_out)
            order by g.rank, g.msg_id
            limit least(place.free, quantum)
        ) as waiting
        where not (select mode.by_one from mode) and place.free > 0
        limit room
    )
    select array_agg(pick.msg_id), array_agg(pick.key),
           (select bool_or(place.free <= 0) from place),
           has_more or case when (select mode.by_one from mode) then
                           (select count(*) from place where place.free > 0)
                           > case when quantum = 1 then 0 else count(*) end
                       else exists (select from pick as p group by p.key having count(*) >= quantum) end
    into ids, of_keys, is_full, has_more
    from pick;
end
$$;
