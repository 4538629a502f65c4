-- Takes unique keys for messages that are about to be sent. Returns for each distinct key the id of its message: a new
-- id (`is_new`), under which the caller must insert a message that carries the key in this same transaction, or the id
-- of the message that holds the key. A key is held while its message is in the queue; with `unique_for` for that time
-- instead, whatever becomes of the message. What happens to a key that is held, by `on_conflict`: `skip`: nothing.
-- `replace`: the message that holds it is locked, for _replace(); where that message does not wait any more, a new
-- id takes the key over. `raise`: PM007, also for a key that is in `keys` twice. Null keys are left out.
-- Exact in each case because of three statements, each with a snapshot of its own: keys that are surely held need no
-- lock; every other key is inserted or, where it is there, locked; and only then is its message looked for.
-- Called by _place_keys, with arguments that were checked. Locks: the keys in ascending order, new ones as well, until
-- the transaction ends; so two batches never wait for each other in a ring. Two transactions of several batches can:
-- Postgres ends one of them. For replace then as _lock_waiting. Errors: PM001, PM007.
create or replace function postmill._take_keys(queue text, keys text[], unique_for interval, on_conflict text)
returns table (unique_key text, msg_id bigint, is_new boolean)
language plpgsql volatile
set search_path = ''
as $$
#variable_conflict use_column
declare
    relation   constant regclass := postmill._queue_table(queue);
    sequence   constant regclass := pg_get_serial_sequence(relation::text, 'msg_id');
    expiry     constant timestamptz := postmill.now() + unique_for;
    wanted     text[];
    taken      text[];
    taken_ids  bigint[];
    held       text[] := '{}';
    held_ids   bigint[] := '{}';
    waiting    bigint[];
begin
    wanted := array(
        select distinct given.key collate "C" from unnest(keys) as given (key) where given.key is not null order by 1);
    if on_conflict = 'raise' and cardinality(wanted) < cardinality(array_remove(keys, null)) then
        raise exception 'two messages of the batch have the same unique key'
            using errcode = 'PM007', hint = 'Send one message a key, or with on_conflict => ''skip''.';
    end if;
    if on_conflict <> 'replace' and exists (
        select from postmill.unique_keys as known where known.queue_name = queue and known.unique_key = any (wanted)
    ) then
        select coalesce(array_agg(owner.unique_key), '{}'), coalesce(array_agg(owner.msg_id), '{}')
        into held, held_ids
        from postmill._held_keys(queue, wanted) as owner;
        wanted := array(select free.key from unnest(wanted) as free (key) where free.key <> all (held));
    end if;
    with inserted as (
        insert into postmill.unique_keys as known (queue_name, unique_key, msg_id, enqueued_at, expires_at)
        select queue, ordered.key, nextval(sequence), now(), expiry
        from (select free.key from unnest(wanted) as free (key) order by free.key collate "C") as ordered
        on conflict (queue_name, unique_key) do update set msg_id = known.msg_id where false  -- only locked
        returning known.unique_key, known.msg_id
    )
    select coalesce(array_agg(inserted.unique_key), '{}'), coalesce(array_agg(inserted.msg_id), '{}')
    into taken, taken_ids
    from inserted;
    if cardinality(taken) < cardinality(wanted) then
        -- A statement of its own: it sees what was committed before the keys were ours.
        select held || coalesce(array_agg(owner.unique_key), '{}'), held_ids || coalesce(array_agg(owner.msg_id), '{}')
        into held, held_ids
        from postmill._held_keys(queue, wanted) as owner
        where owner.unique_key <> all (taken);
        if on_conflict = 'replace' then
            waiting := postmill._lock_waiting(queue, held, held_ids);
            select coalesce(array_agg(owner.key), '{}'), coalesce(array_agg(owner.id), '{}')
            into held, held_ids
            from unnest(held, held_ids) as owner (key, id) where owner.id = any (waiting);
        end if;
        return query
        update postmill.unique_keys as known
           set msg_id = nextval(sequence), enqueued_at = now(), expires_at = expiry
         where known.queue_name = queue and known.unique_key = any (wanted)
           and known.unique_key <> all (taken) and known.unique_key <> all (held)
        returning known.unique_key, known.msg_id, true;
        if on_conflict = 'replace' then
            update postmill.unique_keys as known set expires_at = expiry
             where known.queue_name = queue and known.unique_key = any (held)
               and known.expires_at is distinct from expiry;
        end if;
    end if;
    if on_conflict = 'raise' and held <> '{}' then
        raise exception 'the unique key % is taken', quote_literal(held[1])
            using errcode = 'PM007',
                  detail = format('Message %s of queue %s holds it.', held_ids[1], quote_literal(queue)),
                  hint = 'With on_conflict => ''skip'' the id of that message is returned.';
    end if;
    return query
    select owner.key, owner.id, true from unnest(taken, taken_ids) as owner (key, id)
    union all
    select owner.key, owner.id, false from unnest(held, held_ids) as owner (key, id);
end
$$;
