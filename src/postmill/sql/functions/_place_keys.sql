-- The id under which each message of a batch is to be sent, by its place: null where it has no unique key. `existed`:
-- its key was held, by another message or by one that comes before it in the batch; then it is not inserted.
-- Called by _send. Locks and errors as _take_keys.
create or replace function postmill._place_keys(
    queue text, unique_keys text[], unique_for interval, on_conflict text
) returns table (place bigint, msg_id bigint, existed boolean)
language sql volatile
set search_path = ''
as $$
    select given.place, taken.msg_id,
        given.key is not null
        and (not taken.is_new or given.place > min(given.place) over (partition by given.key))
    from unnest(unique_keys) with ordinality as given (key, place)
    left join postmill._take_keys(queue, unique_keys, unique_for, on_conflict) as taken on taken.unique_key = given.key;
$$;
