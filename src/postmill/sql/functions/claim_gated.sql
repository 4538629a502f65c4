-- Takes messages that wait for a place in their group, and writes down one claim for them. The next groups in order of
-- their keys after `after_key`, the last one that this worker has looked at or, where it had no room for all of them,
-- has given a turn, have an equal share each: that is the round robin. There is no counter that could be wrong: a place
-- is a gate that names an open claim; where nothing counts places, none is written (_counts_places). See _pick_gated
-- for what keeps the limits exact.
-- A row of the queue is taken only while it is parked and its header names the gate's group: another client may have
-- deleted or leased the row, or dropped the queue and made it again. Gates of such rows are removed here.
-- So that dead rows which an old transaction keeps cost nothing, the worker says what it knows: no gate that waits has
-- a rank at or before `since`, no open claim an id below `oldest`, and each group of the gates of messages up to
-- `unseen` has its row in groups.
-- `known`: whether the queue is the one that the worker thinks; nothing is taken otherwise, nor while it is paused.
-- Not more than `wanted` messages and, of their payloads, about `max_bytes`; none of `left_out`. `unread`: payloads and
-- headers are left where they are. `front`: nothing is taken, and `front_id` tells what would be.
-- Of the answer: `complete`: all that may start now was taken, except what was locked. `last_key`, `seen`: the next
-- `after_key` and `unseen`. `rank_ahead`, `rank_behind`, `wrapped`: as _next_groups. `is_full`: a group, or the queue,
-- has no place for a message that waits. `has_limits`: one of those looked at may become so. `is_busy`: another session
-- was at work on a group. `again_in_s`: when a rate allows the next start, or, when nothing was
-- taken, the next message falls due.
-- Called by the statement claim_gated. Lock order: new rows of groups, the queue's own one, those of the groups
-- (skipping locked ones), what _give_places locks, queue rows (skipping locked ones), claims, gates. Errors: PM001 no
-- such queue.
create or replace function postmill.claim_gated(
    queue text, wanted integer, lease interval, worker_id uuid, max_bytes integer, known boolean,
    after_key text, since timestamptz, oldest bigint, unseen bigint, left_out bigint[] default '{}',
    has_headers boolean default true, has_last_read_at boolean default true, unread boolean default false,
    front boolean default false,
    out claim_id bigint, out at timestamptz, out complete boolean, out vt_us bigint, out msg_ids bigint[],
    out read_cts integer[], out enqueued_us bigint[], out messages text[], out headers text[],
    out failures integer[], out lost_leases integer[], out front_id bigint,
    out last_key text, out rank_ahead timestamptz, out rank_behind timestamptz, out wrapped boolean, out seen bigint,
    out is_full boolean, out is_busy boolean, out has_limits boolean, out again_in_s double precision
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    relation constant regclass := postmill._queue_table(queue);
    name     constant text := lower(queue);  -- as gates and groups have it
    most     constant integer := least(1000, 4 * wanted + 16);  -- groups that are looked at
    -- Messages of one group that a claim counts on: one of many messages goes to 250 groups, as each look costs about
    -- half of what a message does.
    share    constant integer := greatest(1, wanted / 250);
    limits   postmill.queues;
    room     integer := wanted;
    is_all   boolean;
    next     record;
    pick     record;
    taken    record;
    missed   bigint[];
begin
    at := clock_timestamp();
    last_key := after_key;
    seen := unseen;
    complete := false;
    wrapped := false;
    is_full := false;
    is_busy := false;
    has_limits := false;
    select * into limits from postmill.queues as q where q.queue_name = queue;
    if not known or limits.paused_at is not null then
        return;
    end if;
    if not limits.gated then
        perform postmill._set_gated(queue);
    end if;
    select made.seen, made.is_all into seen, is_all from postmill._make_groups(name, unseen) as made;
    if limits.max_running is not null or limits.starts is not null then
        has_limits := true;
        select r.room, extract(epoch from r.again_at - clock_timestamp()) into room, again_in_s
        from postmill._room_in_queue(queue, relation, limits, wanted, oldest) as r;
        is_busy := room is null;
        complete := coalesce(room <= 0, false);
        is_full := complete and again_in_s is null;
        if is_busy or complete then
            return;
        end if;
    end if;
    next := postmill._next_groups(name, limits, after_key, at, since, oldest, room, share, most);
    last_key := next.last_key;
    rank_ahead := next.rank_ahead;
    rank_behind := next.rank_behind;
    wrapped := next.wrapped and is_all;
    is_full := next.is_full;
    has_limits := has_limits or is_full;
    complete := next.is_all and is_all;
    again_in_s := extract(epoch from next.again_at - clock_timestamp());
    if next.keys = '{}' then
        if is_full or again_in_s is not null then
            again_in_s := least(again_in_s, postmill._next_rank_in_s(name, at));
        end if;
        return;
    end if;
    if cardinality(next.keys) > room then
        next.keys := next.keys[:room];
        next.rows_at := next.rows_at[:room];
        next.firsts_at := next.firsts_at[:room];
        last_key := next.keys[room];
        complete := false;
    end if;
    pick := postmill._pick_gated(name, limits, next.keys, next.rows_at, next.firsts_at, room, at, since, oldest,
                                 left_out);
    is_full := is_full or pick.is_full;
    is_busy := pick.is_busy;
    has_limits := has_limits or pick.has_limits;
    complete := complete and not pick.has_more;
    front_id := pick.ids[1];
    if cardinality(pick.ids) = room and cardinality(next.keys) < room then
        last_key := pick.of_keys[room];  -- those after it have not had their turn
    end if;
    if wrapped and last_key collate "C" > after_key collate "C" then
        wrapped := false;
        rank_behind := null;
    end if;
    missed := '{}';
    if front then
        return;
    end if;
    if pick.ids is not null and (limits.starts is not null or array_remove(pick.starts, null) <> '{}') then
        select s.granted, s.granted_keys, s.missed, complete and not s.cut_short,
               least(again_in_s, extract(epoch from s.again_at - clock_timestamp()))
        into pick.ids, pick.of_keys, missed, complete, again_in_s
        from postmill._start_gated(name, relation, limits, pick.ids, pick.of_keys, max_bytes,
                                   pick.locked, pick.starts, pick.periods, has_headers) as s;
    end if;
    if pick.ids is not null then
        taken := postmill._take_gated(queue, relation, pick.ids, pick.of_keys, at, lease, max_bytes, worker_id,
                                      has_headers, has_last_read_at, unread);
        claim_id := taken.claim_id;
        vt_us := taken.vt_us;
        msg_ids := taken.msg_ids;
        read_cts := taken.read_cts;
        enqueued_us := taken.enqueued_us;
        messages := taken.messages;
        headers := taken.headers;
        failures := taken.failures;
        lost_leases := taken.lost_leases;
        missed := missed || taken.missed;
        complete := complete and not taken.cut_short;
    end if;
    if missed <> '{}' then
        complete := false;
        perform postmill._mend_gates(name, relation, missed);
    end if;
    if msg_ids is null and (is_full or again_in_s is not null) then
        again_in_s := least(again_in_s, postmill._next_rank_in_s(name, at));
    end if;
end
$$;
