-- Takes the unique keys of a batch, and returns for each place the id of its message. `ids` are new, and remain the ids
-- of messages without a key. `existed`: the key was held, by another message or by one that comes before it in the
-- batch; then the message of this place is not inserted.
-- Called by _send. Locks and errors as _take_keys.
create or replace function postmill._place_keys(
    queue text, unique_keys text[], ids bigint[], unique_for interval, on_conflict text
) returns table (place bigint, msg_id bigint, existed boolean)
language sql volatile
set search_path = ''
set enable_nestloop = off  -- as in _take_keys
as $$
    select given.place, coalesce(taken.msg_id, given.id), coalesce(taken.msg_id <> given.id or not taken.is_new, false)
    from unnest(unique_keys, ids) with ordinality as given (key, id, place)
    left join postmill._take_keys(queue, unique_keys, ids, unique_for, on_conflict) as taken
        on taken.unique_key = given.key;
$$;
