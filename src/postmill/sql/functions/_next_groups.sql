-- The next groups in which a message may start at `at`, in order of their keys: those after `after_key`, and from the
-- first one again. At most `most` are looked at, and not many more than it takes to find a place for `enough` messages,
-- not more than `share` of them in one group: `keys`, those that are not full, `rows_at`, where their rows are, and
-- `firsts_at`, where the gate is of the message that is next in each.
-- That is only a guess here, which saves locking the others, and `is_full` says that there are such. Where none of the
-- first 64 is full, the others are not counted: a count costs about a tenth of what a claim of one message a group
-- does, and _pick_gated counts in any case.
-- `last_key`: the last one looked at; `after_key` when none stands before it either. `rank_ahead`, `rank_behind`: the
-- first rank that waits in those after `after_key`, and in those up to it; `wrapped`: it has come to these; `is_all`:
-- each group was looked at.
-- `since` and `oldest` as in claim_gated: one index entry a group is read, whatever is dead.
-- `again_at`: when the rate of one of them allows the next start, where it allows none now. The others are not locked.
-- Called by claim_gated. Takes no locks. Errors: none.
create or replace function postmill._next_groups(
    queue text, limits postmill.queues, after_key text, at timestamptz, since timestamptz, oldest bigint,
    enough integer, share integer, most integer,
    out keys text[], out rows_at tid[], out firsts_at tid[], out is_full boolean, out is_all boolean, out last_key text,
    out rank_ahead timestamptz, out rank_behind timestamptz, out wrapped boolean, out again_at timestamptz
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    lowest     text := after_key || chr(1);  -- no text stands between the two
    highest    text := (select max(g.group_key) from postmill.groups as g where g.queue_name = queue);
    left_over  integer := most;
    places     integer := 0;  -- in the groups `keys`
    is_counted boolean := true;
    asked      integer;
    found      integer;
    first_rank timestamptz;
begin
    keys := '{}';
    rows_at := '{}';
    firsts_at := '{}';
    is_full := false;
    is_all := false;
    last_key := after_key;
    wrapped := false;
    while left_over > 0 and places < enough loop
        asked := case when left_over = most then least(most, enough / share + 16, 64)
                 else least(left_over, (enough - places) / greatest(1, places / (most - left_over)) + 16) end;
        select keys || coalesce(array_agg(next.group_key) filter (
                   where next.free > 0 and (next.frees_at <= at or next.frees_at is null)), '{}'),
               rows_at || coalesce(array_agg(next.row_at) filter (
                   where next.free > 0 and (next.frees_at <= at or next.frees_at is null)), '{}'),
               firsts_at || coalesce(array_agg(next.first_at) filter (
                   where next.free > 0 and (next.frees_at <= at or next.frees_at is null)), '{}'),
               places + coalesce(sum(next.free) filter (
                   where next.free > 0 and (next.frees_at <= at or next.frees_at is null)), 0),
               min(next.rank), count(*), is_full or coalesce(bool_or(next.free <= 0), false),
               coalesce(max(next.group_key), last_key),
               least(again_at, min(next.frees_at) filter (where next.free > 0 and next.frees_at > at))
        into keys, rows_at, firsts_at, places, first_rank, found, is_full, last_key, again_at
        from (
            select g.group_key, g.ctid as row_at, first.rank, first.first_at,
                   case when g.group_key = '' or coalesce(g.max_running, limits.group_max_running) is null then share
                   else least(share, coalesce(g.max_running, limits.group_max_running)
                              - case when is_counted then (
                           select count(*) from postmill.gates as held
                           where held.queue_name = queue and held.group_key = g.group_key and held.claim_id >= oldest)
                       else 0 end)
                   end as free,
                   case when rate.starts <= 1000 and g.tat = '-infinity' then
                       -- As _window_starts; where the clock was set back, _grant_starts has to see to it.
                       case when g.recent[cardinality(g.recent)] <= at then
                           g.recent[cardinality(g.recent) - rate.starts + 1] + postmill._fixed_length(rate.per) end
                   else (postmill._allowed_starts(g.recent, g.tat, at, 0, rate.starts, rate.per)).again_at
                   end as frees_at
            from postmill.groups as g
            cross join lateral (
                select waiting.rank, waiting.ctid as first_at from postmill.gates as waiting
                where waiting.queue_name = queue and waiting.group_key = g.group_key and waiting.claim_id is null
                  and waiting.rank > since and waiting.rank <= at
                order by waiting.rank, waiting.msg_id limit 1
            ) as first
            cross join lateral (
                select case when g.group_key <> '' then coalesce(g.starts, limits.group_starts) end as starts,
                       case when g.starts is null then limits.group_per else g.per end as per
            ) as rate
            where g.queue_name = queue and g.group_key >= lowest and g.group_key <= highest
            order by g.group_key limit asked
        ) as next;
        if wrapped then
            rank_behind := least(rank_behind, first_rank);
        else
            rank_ahead := least(rank_ahead, first_rank);
        end if;
        left_over := left_over - found;
        is_counted := is_full;
        if found = asked then
            lowest := last_key || chr(1);
        elsif wrapped then
            is_all := true;
            return;
        else
            -- A round that looked at nothing would end, and what waits would be passed by.
            exit when left_over = 0 or places >= enough;
            wrapped := true;
            last_key := after_key;
            lowest := '';
            highest := after_key;
        end if;
    end loop;
end
$$;
