-- The next groups in which a message may start at `at`, in order of their keys: those after `after_key`, and from the
-- first one again. At most `most` are looked at. `keys`: those that are not full; that is only a guess here, which
-- saves locking the others, and `is_full` says that there are such. `last_key`: the last one looked at. `rank_ahead`,
-- `rank_behind`: the first rank that waits in those after `after_key`, and in those up to it; `wrapped`: these were
-- looked at too. `since` and `oldest` as in claim_gated: one index entry a group is read, whatever is dead.
-- `again_at`: when the rate of one of them allows the next start, where it allows none now. The others are not locked.
-- Called by claim_gated. Takes no locks. Errors: none.
create or replace function postmill._next_groups(
    queue text, limits postmill.queues, after_key text, at timestamptz, since timestamptz, oldest bigint,
    most integer,
    out keys text[], out is_full boolean, out looked_at integer, out last_key text,
    out rank_ahead timestamptz, out rank_behind timestamptz, out wrapped boolean, out again_at timestamptz
)
language plpgsql volatile
set search_path = ''
as $$
#variable_conflict use_column
declare
    lowest     text := after_key || chr(1);  -- no text stands between the two
    highest    text := (select max(g.group_key) from postmill.groups as g where g.queue_name = queue);
    first_rank timestamptz;
begin
    keys := '{}';
    is_full := false;
    looked_at := 0;
    last_key := after_key;
    wrapped := false;
    loop
        select keys || coalesce(array_agg(next.group_key) filter (
                   where not next.no_room and (next.frees_at <= at or next.frees_at is null)), '{}'),
               min(next.rank), looked_at + count(*), is_full or coalesce(bool_or(next.no_room), false),
               coalesce(max(next.group_key), last_key),
               least(again_at, min(next.frees_at) filter (where not next.no_room and next.frees_at > at))
        into keys, first_rank, looked_at, is_full, last_key, again_at
        from (
            select g.group_key, first.rank,
                   case when g.group_key <> '' and coalesce(g.max_running, limits.group_max_running) is not null then
                       (select count(*) from postmill.gates as held
                         where held.queue_name = queue and held.group_key = g.group_key and held.claim_id >= oldest)
                       >= coalesce(g.max_running, limits.group_max_running)
                   else false end as no_room,
                   case when rate.starts <= 1000 and g.tat = '-infinity' then
                       -- As _window_starts; where the clock was set back, _grant_starts has to see to it.
                       case when g.recent[cardinality(g.recent)] <= at then
                           g.recent[cardinality(g.recent) - rate.starts + 1] + postmill._fixed_length(rate.per) end
                   else (postmill._allowed_starts(g.recent, g.tat, at, 1, rate.starts, rate.per)).again_at
                   end as frees_at
            from postmill.groups as g
            cross join lateral (
                select waiting.rank from postmill.gates as waiting
                where waiting.queue_name = queue and waiting.group_key = g.group_key and waiting.claim_id is null
                  and waiting.rank > since and waiting.rank <= at
                order by waiting.rank limit 1
            ) as first
            cross join lateral (
                select case when g.group_key <> '' then coalesce(g.starts, limits.group_starts) end as starts,
                       case when g.starts is null then limits.group_per else g.per end as per
            ) as rate
            where g.queue_name = queue and g.group_key >= lowest and g.group_key <= highest
            order by g.group_key limit most - looked_at
        ) as next;
        if wrapped then
            rank_behind := first_rank;
            return;
        end if;
        rank_ahead := first_rank;
        exit when looked_at >= most;
        wrapped := true;
        lowest := '';
        highest := after_key;
    end loop;
end
$$;
