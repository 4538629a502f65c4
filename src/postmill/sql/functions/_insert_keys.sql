-- Inserts unique keys that were free a moment ago, each for the id at its place; of a key that is there twice the first
-- place has it, and nulls are left out. Returns how many it inserted: null, and none, when one was taken meanwhile. It
-- is twice as fast as an insert that looks for conflicts (measured with 1,000 keys: 3 against 6 ms), and so worth a
-- subtransaction for a batch, but not for each of many single sends in one transaction.
-- Called by _take_keys. Locks: the keys in ascending order, none of them when it returns null. Errors: none.
create or replace function postmill._insert_keys(queue text, keys text[], ids bigint[], expiry timestamptz)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    inserted bigint;
begin
    insert into postmill.unique_keys (queue_name, unique_key, msg_id, enqueued_at, expires_at)
    select distinct on (free.key collate "C") queue, free.key, free.id, now(), expiry
    from (select unnest(keys), unnest(ids)) as free (key, id)
    where free.key is not null
    order by free.key collate "C", free.id;
    get diagnostics inserted = row_count;
    return inserted;
exception when unique_violation then
    return null;
end
$$;
