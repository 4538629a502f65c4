-- Takes unique keys for messages that are about to be sent under `ids`, each key for the message at its place. Returns
-- the places whose message is not to be inserted, with the id of the message that has the key in its stead: one that
-- is there, or of an earlier place of this batch. Every other message the caller must insert, with its key in its
-- headers, in this same transaction. A key is held while its message is in the queue; with `unique_for` for that time
-- instead, whatever becomes of the message. What happens to a key that is held, by `on_conflict`: `skip`: nothing.
-- `replace`: the message that holds it is locked, for _replace(); where that message does not wait any more, the new id
-- takes the key over. `raise`: PM007, also for a key that is there twice. Null keys are left out.
-- Exact in each case because of three statements, each with a snapshot of its own: keys that are surely held need no
-- lock; every other key is inserted or, where it is there, locked; and only then is its message looked for.
-- Called by _send, with arguments that were checked. Locks: the keys in ascending order, new ones as well, until the
-- transaction ends; so two batches never wait for each other in a ring. Two transactions of several batches can:
-- Postgres ends one of them. For replace then as _lock_waiting. Errors: PM001, PM007.
create or replace function postmill._take_keys(
    queue text, keys text[], ids bigint[], unique_for interval, on_conflict text
) returns table (place bigint, msg_id bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_nestloop = off  -- the planner takes arrays for short ones, and would compare each key with each other
as $$
#variable_conflict use_column
declare
    name       constant text := lower(queue);  -- as unique_keys has it
    expiry     constant timestamptz := postmill.now() + unique_for;
    some_held  constant boolean := exists (
        select from postmill.unique_keys as known where known.queue_name = name and known.unique_key = any (keys));
    many       bigint;  -- keys that were inserted at once
    wanted     text[];
    wanted_ids bigint[];
    taken      text[] := '{}';
    held       text[] := '{}';
    held_ids   bigint[] := '{}';
    waiting    bigint[];
begin
    if not some_held and cardinality(keys) >= 10 then
        many := postmill._insert_keys(name, keys, ids, expiry);
        if many = cardinality(keys) then
            return;
        end if;
    end if;
    select coalesce(array_agg(given.key), '{}'), array_agg(given.id)
    into wanted, wanted_ids
    from (select distinct on (1) each.key collate "C" as key, each.id
          from unnest(keys, ids) as each (key, id) where each.key is not null order by 1, 2) as given;
    if on_conflict = 'raise' and cardinality(wanted) < cardinality(array_remove(keys, null)) then
        raise exception 'two messages of the batch have the same unique key'
            using errcode = 'PM007', hint = 'Send one message a key, or with on_conflict => ''skip''.';
    end if;
    if many is not null then
        taken := wanted;
    elsif some_held and on_conflict <> 'replace' then
        select coalesce(array_agg(owner.unique_key), '{}'), coalesce(array_agg(owner.msg_id), '{}')
        into held, held_ids
        from postmill._held_keys(name, wanted) as owner;
    end if;
    if cardinality(taken) + cardinality(held) < cardinality(wanted) then
        with inserted as (
            insert into postmill.unique_keys as known (queue_name, unique_key, msg_id, enqueued_at, expires_at)
            select name, free.key, free.id, now(), expiry
            from unnest(wanted, wanted_ids) with ordinality as free (key, id, place)
            where not exists (select from unnest(held) as owner (key) where owner.key = free.key)
            order by free.place
            on conflict (queue_name, unique_key) do update set msg_id = known.msg_id where false  -- only locked
            returning known.unique_key
        )
        select coalesce(array_agg(inserted.unique_key), '{}') into taken from inserted;
    end if;
    if cardinality(taken) + cardinality(held) < cardinality(wanted) then
        -- A statement of its own: it sees what was committed before the keys were ours.
        select held || coalesce(array_agg(owner.unique_key), '{}'), held_ids || coalesce(array_agg(owner.msg_id), '{}')
        into held, held_ids
        from postmill._held_keys(name, array(
            select free.key from unnest(wanted) as free (key)
            except select owner.key from unnest(taken || held) as owner (key))) as owner;
        if on_conflict = 'replace' then
            waiting := postmill._lock_waiting(queue, held, held_ids);
            select coalesce(array_agg(owner.key), '{}'), coalesce(array_agg(owner.id), '{}')
            into held, held_ids
            from unnest(held, held_ids) as owner (key, id) where owner.id = any (waiting);
            update postmill.unique_keys as known set expires_at = expiry
             where known.queue_name = name and known.unique_key = any (held)
               and known.expires_at is distinct from expiry;
        end if;
        update postmill.unique_keys as known
           set msg_id = free.id, enqueued_at = now(), expires_at = expiry
          from unnest(wanted, wanted_ids) as free (key, id)
         where known.queue_name = name and known.unique_key = free.key and known.unique_key = any (wanted)
           and not exists (select from unnest(taken || held) as owner (key) where owner.key = free.key);
    end if;
    if on_conflict = 'raise' and held <> '{}' then
        raise exception 'the unique key % is taken', quote_literal(held[1])
            using errcode = 'PM007',
                  detail = format('Message %s of queue %s holds it.', held_ids[1], quote_literal(queue)),
                  hint = 'With on_conflict => ''skip'' the id of that message is returned.';
    end if;
    if held <> '{}' or cardinality(wanted) < cardinality(array_remove(keys, null)) then
        return query
        select given.place, coalesce(owner.id, first.id)
        from unnest(keys, ids) with ordinality as given (key, id, place)
        join unnest(wanted, wanted_ids) as first (key, id) on first.key = given.key
        left join unnest(held, held_ids) as owner (key, id) on owner.key = given.key
        where owner.id is not null or given.id <> first.id;
    end if;
end
$$;
