-- Inserts unique keys that were free a moment ago, and returns them; none of them when one was taken meanwhile. It is
-- twice as fast as an insert that looks for conflicts (measured with 1,000 keys: 3 against 6 ms), and so worth a
-- subtransaction for a batch, but not for each of many single sends in one transaction.
-- Called by _take_keys. Locks: the keys in ascending order, none of them when it returns nothing. Errors: none.
create or replace function postmill._insert_keys(queue text, keys text[], ids bigint[], expiry timestamptz)
returns text[]
language plpgsql volatile
set search_path = ''
as $$
begin
    insert into postmill.unique_keys (queue_name, unique_key, msg_id, enqueued_at, expires_at)
    select queue, free.key, free.id, now(), expiry
    from unnest(keys, ids) with ordinality as free (key, id, place)
    order by free.place;
    return keys;
exception when unique_violation then
    return '{}';
end
$$;
